"""``stepline common`` against a real service, and local runs of what travels with Stepline."""

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from stepline.app import common
from stepline.cli import stepline
from stepline.server.access import ANYTHING, Access
from tests.support.serving import archive_of, error_of, serving

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "common"
NAME = "common/push-note:v1.0.0"
MEMBER = "a-member's-token"


class MembersToo(Access):
    """Knows, beside the administrator's, the token of somebody who may publish their own."""

    def allows(self, token, action=ANYTHING):
        if token == MEMBER:
            return action.area != "common"
        return super().allows(token, action)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """What travels with Stepline, to change."""
    folder = shutil.copytree(FIXTURE, tmp_path / "shipped")
    monkeypatch.setattr(common, "shipped_folder", lambda: folder)
    return folder


@pytest.fixture
def clients(push_client):
    """The clients of all that travels, in the shared cache."""
    for folder in sorted((ROOT / "task-scripts").iterdir()):
        if folder.is_dir():
            push_client(folder.name)


@pytest.fixture
def api(tmp_path, stepline_cache):
    with serving(tmp_path / "service", cache=stepline_cache, access=MembersToo) as made:
        yield made


@pytest.fixture
def run(home, run_with_all):
    """Run a command where nothing travels but what a test may change."""
    return run_with_all


@pytest.fixture
def run_with_all(api, stepline_cache, monkeypatch, tmp_path):
    """Run a command as who has a token; give its exit code, output, and what stands aside."""
    monkeypatch.chdir(tmp_path)

    def run(*words, token=api.token):
        environ = {
            "STEPLINE_API_URL": f"{api.url}/v1",
            "STEPLINE_AUTH_TOKEN": token,
            "STEPLINE_ORG": "demo",
            "STEPLINE_CACHE_DIR": str(stepline_cache),
        }
        return CliRunner().invoke(stepline, words, env=environ, standalone_mode=False)

    return run


def said(done):
    """Return the lines of a command that did not fail by an error."""
    assert done.exception is None, done.exception
    return done.stdout.splitlines()


def versions(api, kind="task-scripts"):
    return {each["version"]: each for each in api.get(f"/v1/artifacts/{kind}/common").json()}


def change(home):
    path = home / "task-scripts/push-note/main.py"
    path.write_text(path.read_text().replace("a note", "one note"))


def test_install_publishes_task_scripts_before_the_protocols_that_use_them(api, run):
    done = run("common", "install")
    assert said(done) == [f"{NAME} published", f"{NAME} published"]
    assert done.return_value == 0
    assert "imported every function: push-note" in done.stderr
    (script,) = versions(api).values()
    (protocol,) = versions(api, "protocols").values()
    assert script["createdAt"] < protocol["createdAt"]
    used = api.get("/v1/artifacts/task-scripts/common/push-note/v1.0.0/relationships").json()
    assert [each["slug"] for each in used["protocols"]] == ["push-note"]


@pytest.mark.huggingface
@pytest.mark.kaggle
@pytest.mark.mlflow
@pytest.mark.s3
@pytest.mark.slow
def test_install_publishes_all_that_travels(clients, run_with_all):
    done = run_with_all("common", "install")
    assert (said(done) != [], done.return_value) == (True, 0)
    assert {line.partition(" ")[2] for line in said(done)} == {"published"}
    listed = json.loads(run_with_all("common", "list", "--json").stdout)
    assert {each["published"] for each in listed} == {"yes"}


def test_install_again_sends_nothing_and_says_so(api, run):
    run("common", "install")
    before = versions(api)
    done = run("common", "install")
    assert said(done) == [f"{NAME} was there already"] * 2
    assert (done.return_value, done.stderr) == (0, "")
    assert versions(api) == before


def test_install_other_content_is_refused_and_moved_by_force(api, run, home):
    run("common", "install")
    before = versions(api)["v1.0.0"]
    change(home)
    done = run("common", "install")
    first, second = said(done)
    assert first.startswith(f"{NAME} refused: {NAME} is published already, with other content")
    assert "move this one with -f" in first
    assert (second, done.return_value) == (f"{NAME} was there already", 2)
    assert versions(api)["v1.0.0"] == before
    assert said(run("common", "install", "-f"))[0] == f"{NAME} published"
    after = versions(api)["v1.0.0"]
    assert (after["moved"], after["hash"] != before["hash"]) == (1, True)


def test_install_of_a_broken_task_script_fails_with_its_log(run, home):
    path = home / "task-scripts/push-note/main.py"
    path.write_text(f"import no_such_module\n{path.read_text()}")
    done = run("common", "install")
    script, protocol = said(done)
    assert script.startswith(f"{NAME} failed: see stepline artifact log ")
    assert protocol.startswith(f"{NAME} failed: ")
    assert "no_such_module" in done.stderr
    assert "the task script common/push-note:v1.0.0 is not published" in done.stderr
    assert done.return_value == 1


def test_install_by_who_is_no_administrator_is_refused(api, run):
    done = run("common", "install", token=MEMBER)
    assert "only an administrator publishes in the namespace common" in str(done.exception)
    assert done.exception.exit_code == 2
    assert versions(api) == {}


def test_put_and_delete_in_common_take_an_administrators_token(api, home):
    path = "/v1/artifact/task-scripts/common/push-note/v1.0.0"
    archive = archive_of(home / "task-scripts/push-note")
    member = {"ts-auth-token": MEMBER}
    refused = api.post(path, content=archive, headers=member)
    assert (refused.status_code, "administrator" in error_of(refused)) == (403, True)
    own = path.replace("common", "private-demo")
    assert api.post(own, content=archive, headers=member).status_code == 200
    build = api.post(path, content=archive).json()["build"]["id"]
    api.until(f"/v1/artifact/builds/{build}", lambda each: each["build"]["buildComplete"])
    assert api.delete(path, headers=member).status_code == 403
    assert list(versions(api)) == ["v1.0.0"]
    assert api.delete(path).status_code == 200


def test_install_json_tells_each_outcome(run):
    (script, protocol) = json.loads(run("common", "install", "--json", "push-note").stdout)
    assert (script["type"], script["status"]) == ("task-script", "published")
    assert (protocol["type"], protocol["slug"]) == ("protocol", "push-note")
    assert set(script["build"]) == {"id"}


def test_list_tells_what_the_service_has(run, home):
    listed = json.loads(run("common", "list", "--json").stdout)
    assert [each["published"] for each in listed] == ["no", "no"]
    run("common", "install")
    change(home)
    listed = json.loads(run("common", "list", "--json").stdout)
    assert [each["published"] for each in listed] == ["other content", "yes"]
    assert f"task-script  {NAME}  other content  Passes a note on." in said(run("common", "list"))


def test_workflow_of_a_service_uses_what_was_installed(api, run):
    run("common", "install")
    text = f"name: notes\nprotocol: {NAME}\ntrigger: category is raw\n"
    assert api.put("/v1/pipelines", content=text).status_code < 300
    workflow = api.workflow_of(api.upload("a.txt", b"hello")["fileId"])
    assert workflow["status"] == "completed"
    assert workflow["output"]["result"] == {"note": "Ada: hello"}


# Without a service.


@pytest.fixture
def local(home, stepline_cache, tmp_path, monkeypatch):
    """Run a command in a folder with an input file, where no service is known."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("hello")

    def local(*words):
        environ = {name: None for name in os.environ if name.startswith("STEPLINE_")}
        environ["STEPLINE_CACHE_DIR"] = str(stepline_cache)
        return CliRunner().invoke(stepline, words, env=environ, standalone_mode=False)

    return local


def test_list_without_a_service_names_what_travels(local):
    assert said(local("common", "list")) == [
        f"task-script  {NAME}  Passes a note on.",
        f"protocol     {NAME}  Passes a file on as a note.",
    ]


def test_list_where_the_service_is_down_warns_and_lists_what_travels(local):
    Path(".stepline").mkdir()
    known = {"api_url": "http://127.0.0.1:9/v1", "auth_token": "t", "org": "demo"}
    Path(".stepline/auth.json").write_text(json.dumps(known))
    done = local("common", "list")
    assert len(said(done)) == 2
    assert done.stderr.startswith("warning: it is not known what is published: no answer from")
    named = local("common", "list", "-c", ".stepline/auth.json")
    assert "no answer from http://127.0.0.1:9/v1" in str(named.exception)


def test_list_of_nothing_says_so(local, home):
    shutil.rmtree(home)
    done = local("common", "list")
    assert done.stderr == "no artifact travels with this version\n"
    assert json.loads(local("common", "list", "--json").stdout) == []


def test_run_of_a_name_in_common_runs_what_travels(local):
    done = local("run", "common/push-note", "--input", "a.txt", "--out", "results")
    assert (done.return_value, done.exception) == (0, None)
    record = json.loads(Path("results/workflow.json").read_text())
    assert record["output"] == {"note": "Ada: hello"}
    assert record["steps"][0]["taskScript"]["name"] == NAME


def test_run_of_a_name_in_common_that_failed_is_retried_by_it(local, home):
    main = home / "task-scripts/push-note/main.py"
    main.write_text(main.read_text().replace("    text =", "    context.no_such_thing\n    text ="))
    words = ("run", "common/push-note", "--input", "a.txt", "--out", "results")
    assert local(*words).return_value == 1
    again = local(*words, "--retry")
    assert (again.exception, again.return_value) == (None, 1)
    assert json.loads(Path("results/workflow.json").read_text())["steps"][0]["attempt"] == 2


def test_run_takes_the_projects_own_task_script_first(local, home):
    said(local("common", "copy", "push-note", "."))
    own = Path("task-scripts/push-note/main.py")
    own.write_text(own.read_text().replace("{text}", "{text.upper()}"))
    done = local("run", "protocols/push-note", "--input", "a.txt", "--out", "results")
    assert done.return_value == 0
    assert json.loads(Path("results/workflow.json").read_text())["output"]["note"] == "Ada: HELLO"


def test_run_of_a_project_without_task_scripts_finds_those_that_travel(local, home):
    shutil.copytree(home / "protocols", "protocols")
    done = local("run", "protocols/push-note", "--input", "a.txt", "--out", "results")
    assert (done.return_value, done.exception) == (0, None)


def test_call_of_a_name_in_common_calls_what_travels(local):
    words = ("call", "common/push-note", "push-note", "--file", "file=a.txt")
    done = local(*words, "--input", '{"to": "Bo"}', "--out", "results")
    assert (done.return_value, done.exception) == (0, None)
    assert json.loads(Path("results/workflow.json").read_text())["output"] == {"note": "Bo: hello"}


def test_validate_knows_what_travels(local):
    said(local("common", "copy", "push-note", "."))
    shutil.rmtree("task-scripts/push-note")
    done = local("validate", "--strict", "protocols")
    assert (done.return_value, said(done)) == (0, ["1 file checked: no problems"])
