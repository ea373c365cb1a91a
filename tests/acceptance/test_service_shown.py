"""What commands show of a service's files and workflows, and by what names they take them."""

import json
import os
import re
import time

import pytest

from tests.support.projects import Project
from tests.support.proxy import CuttingProxy
from tests.support.served import Served, wait_for
from tests.support.terminal import run_on_terminal

MIB = 1024 * 1024
MAIN = r"""
import json

def work(input, context):
    content = context.read_file(input["file"])["body"].decode()
    print("tab\there", "bell\a", flush=True)
    context.get_logger().log({"level": "info", "message": "one\ntwo\x1b[2J\r\n three\n"})
    return deeper(content)

def deeper(content):
    if content == "json":
        return json.loads("{" * 3)
    if content == "long":
        raise ValueError("\n".join(f"reason {number}" for number in range(50)))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory, stepline_cache):
    """A service with a watched folder ``drop`` and the pipeline ``work``, for the label ``go``."""
    served = Served(Project(tmp_path_factory.mktemp("shown"), stepline_cache), "--watch", "drop")
    try:
        served.simple("work", MAIN, trigger={"all": ["category is raw", "labels.go exists"]})
        yield served
    finally:
        served.stop()


@pytest.fixture
def stepline(served):
    """Run a command that must end with a code; returns what it printed and its errors."""

    def stepline(*words, code=0, **variables):
        done = served.project.stepline(*words, **variables)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    return stepline


def run_for(served, content):
    """Upload a file that starts the pipeline; return its workflow once that has ended."""
    file = served.upload(f"{time.monotonic_ns()}.txt", content, label="go=1")
    [workflow_id] = filter(None, (each["workflowId"] for each in served.decisions(file["fileId"])))
    path = f"/workflow/{workflow_id}"
    wait_for(lambda: served.get(path)["status"] in ("completed", "failed"))
    return served.get(path)


# By what names files are taken.


def test_files_commands_take_paths_for_the_newest_version(served, stepline):
    served.upload("by/path.txt", "old")
    new = served.upload("by/path.txt", "new")
    for name in ("upload/RAW/by/path.txt", "by/path.txt", "path.txt", new["fileId"]):
        assert stepline("files", "download", name, "-o", "-")[0] == "new"
    assert new["fileId"] in stepline("files", "show", "by/path.txt")[0]
    assert stepline("files", "label", "by/path.txt", "add", "a=1")[0] == "a  1\n"
    assert stepline("files", "provenance", "by/path.txt")[0].startswith(new["fileId"])
    out, _ = stepline("files", "delete", "by/path.txt")
    assert out == f"the file upload/RAW/by/path.txt ({new['fileId']}) is deleted\n"
    assert served.get(f"/fileinfo/{new['fileId']}")["labels"][0]["name"] == "a"


@pytest.mark.parametrize(
    "words",
    [("files", "show"), ("files", "delete"), ("files", "provenance"), ("explain",)],
    ids=" ".join,
)
def test_path_of_several_files_is_refused_with_their_ids(served, stepline, words):
    about = [{"sourceId": f"s-{kind}", "sourceType": kind} for kind in ("mill", "lathe")]
    ids = [served.upload("two.txt", "x", **each)["fileId"] for each in about]
    _, err = stepline(*words, "two.txt", code=2)
    assert "2 files have the path 'two.txt'" in err
    for file_id, kind in zip(ids, ("mill", "lathe"), strict=True):
        assert f"{file_id} (s-{kind}/RAW/two.txt, source type {kind})" in err
    assert "s-mill/RAW/two.txt" in stepline("files", "show", "s-mill/RAW/two.txt")[0]


def test_delete_takes_no_mere_end_of_a_path(served, stepline):
    sent = served.upload("far/away/end.txt", "x")
    _, err = stepline("files", "delete", "end.txt", code=2)
    assert "'end.txt' is but the end of upload/RAW/far/away/end.txt" in err
    assert sent["fileId"] in err
    for name in ("far/away/end.txt", sent["fileId"]):
        assert stepline("files", "show", name)[0]
    assert "is deleted" in stepline("files", "delete", "upload/RAW/far/away/end.txt")[0]


@pytest.mark.parametrize("name", ["no/such.txt", "", "\x1b[2J", os.fsdecode(b"\xff"), "x" * 5000])
def test_file_that_is_not_there_is_said_so(stepline, name):
    _, err = stepline("files", "show", name, code=2)
    assert "there is no file" in err
    assert "stepline files list" in err
    assert "\x1b" not in err
    assert "there is no pipeline and no file" in stepline("explain", name, code=2)[1]


def test_explain_takes_where_a_file_lay_in_a_watched_folder(served, stepline):
    dropped = served.project.write("drop/day/1.txt", "x")
    wait_for(lambda: served.get("/files", prefix="drop/RAW/day/1.txt")["items"])
    dropped.unlink()
    served.upload("day/1.txt", "another", sourceId="elsewhere")
    for name in ("drop/day/1.txt", str(dropped), "./drop/../drop/day/1.txt"):
        out, err = stepline("explain", name)
        assert "drop/RAW/day/1.txt" in err
        assert "labels.go exists: the file has none" in out
    assert "there is no file" in stepline("files", "delete", str(dropped), code=2)[1]


def test_decisions_and_reprocessing_name_files_by_path_and_id(served, stepline):
    served.pipeline("named", protocol="private-demo/work:v1.0.0", trigger="labels.named exists")
    file = served.upload("named/file.txt", "x", label="named=1")
    wait_for(lambda: all(each["status"] == "completed" for each in served.workflows()))
    out, _ = stepline("explain", "named")
    assert re.search(rf"  fired +upload/RAW/named/file.txt +{file['fileId']}  ", out)
    out, _ = stepline("reprocess", "named", "--completed", "--since", "1h", "--dry-run")
    assert out.splitlines() == [
        f"{file['fileId']}  upload/RAW/named/file.txt",
        "named would run again for 1 file",
    ]


def test_search_says_how_many_there_are_and_how_to_see_more(served, stepline):
    for number in range(13):
        served.upload(f"{number}.txt", "x", sourceId="many")
    query = {"query": {"term": {"source.id": "many"}}}
    for body, words, shown, more in (
        (query, [], 13, ""),
        (query, ["--limit", "4"], 4, "… and 9 more, of 13 in all; see --limit\n"),
        ({**query, "size": 10}, [], 10, "… and 3 more, of 13 in all; see --limit\n"),
        ({**query, "size": 10, "from": 10}, [], 3, ""),
        ({**query, "size": 10, "from": 2}, [], 10, "… and 1 more, of 13 in all; see --limit\n"),
    ):
        out, err = stepline("files", "search", "-q", json.dumps(body), *words)
        assert (len(out.splitlines()), err) == (shown, more)
    assert "no JSON object" in stepline("files", "search", "-q", "[]", code=2)[1]


def test_workflows_of_a_deleted_pipeline_are_listed_with_its_name(served, stepline):
    served.pipeline("brief", protocol="private-demo/work:v1.0.0", trigger="labels.brief exists")
    served.upload("brief.txt", "x", label="brief=1")
    [workflow] = served.workflows(pipelineId="brief")
    wait_for(lambda: served.get(f"/workflow/{workflow['id']}")["status"] == "completed")
    stepline("pipeline", "delete", "brief")
    out, _ = stepline("workflow", "list", "--limit", "1000")
    assert re.search(rf"^{workflow['id']}  completed +brief ", out, re.MULTILINE)


# What failed, and what was printed.


def test_workflow_show_has_the_end_of_a_traceback_and_all_if_asked(served, stepline):
    workflow_id = run_for(served, "json")["id"]
    out, _ = stepline("workflow", "show", workflow_id)
    assert re.search(r'    File "func/main.py", line \d+, in work\n', out)
    assert '        return json.loads("{" * 3)\n' in out
    assert not re.search(r" \n", out)
    assert "\n    json.decoder.JSONDecodeError: Expecting property name" in out
    assert "json/decoder.py" not in out
    assert re.search(r"\n      … \d frames elsewhere; see --full\n", out)
    whole, _ = stepline("workflow", "show", workflow_id, "--full")
    assert "json/decoder.py" in whole


def test_workflow_show_has_a_long_message_on_lines_of_its_own(served, stepline):
    workflow_id = run_for(served, "long")["id"]
    out, _ = stepline("workflow", "show", workflow_id)
    assert "\ufffd" not in out
    assert re.search(r"^error: +reason 0\n +reason 1\n", out, re.MULTILINE)
    assert "reason 49" not in out
    assert re.search(r"\n    … \d+ lines more; see --full\n", out)
    whole, _ = stepline("workflow", "show", workflow_id, "--full")
    assert whole.count("reason 49") == 3


def test_log_records_of_several_lines_are_indented_and_steer_no_terminal(served, stepline):
    out, _ = stepline("workflow", "logs", run_for(served, "ok")["id"])
    assert out.splitlines() == [
        "work | tab\there bell\ufffd",
        "work | INFO one",
        "work |   two\ufffd[2J",
        "work |    three",
    ]


# How far an upload is.


@pytest.fixture(params=[0.3], ids=["0.3 s"])
def slow(served, request):
    """Variables that lead to the service by a way on which everything takes its time."""
    port = int(re.search(r":(\d+)/", served.auth["api_url"])[1])
    proxy = CuttingProxy(port, pause_s=request.param)
    yield {
        "STEPLINE_API_URL": f"http://127.0.0.1:{proxy.port}/v1",
        "STEPLINE_AUTH_TOKEN": served.auth["auth_token"],
        "STEPLINE_ORG": served.auth["org"],
    }
    proxy.close()


def test_upload_shows_how_far_it_is_on_a_terminal_alone(served, stepline, slow):
    project = served.project
    project.write("large.bin", os.urandom(20 * MIB))
    command = project.command("upload", "large.bin", "--json")
    shown = run_on_terminal(command, cwd=project.folder, environ={**project.environ, **slow})
    assert shown.code == 0
    assert re.search(r"large.bin +sending .* +[1-9]\d?%", shown.text)
    assert "large.bin  verifying" in shown.text
    assert stepline("upload", "large.bin", "--path", "again.bin", **slow)[1] == ""


# Long enough for a busy machine to begin to draw.
@pytest.mark.parametrize("slow", [1.5], indirect=True, ids=["1.5 s"])
def test_upload_of_a_small_file_shows_that_it_waits(served, slow):
    project = served.project
    project.write("small.txt", "x")
    command = project.command("upload", "small.txt")
    shown = run_on_terminal(command, cwd=project.folder, environ={**project.environ, **slow})
    assert (shown.code, "small.txt  sending" in shown.text) == (0, True)
    assert shown.text.rstrip().splitlines()[-1].startswith("  no pipeline fired")


def test_upload_of_a_small_file_that_is_there_at_once_draws_nothing(served):
    project = served.project
    project.write("quick.txt", "x")
    command = project.command("upload", "quick.txt")
    shown = run_on_terminal(command, cwd=project.folder, environ=project.environ)
    assert (shown.code, "sending" in shown.text) == (0, False)
