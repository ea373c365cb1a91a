"""The commands that talk to a service, on a real one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from tests.support.projects import Project
from tests.support.proxy import CuttingProxy
from tests.support.served import Served, wait_for
from tests.support.terminal import run_on_terminal

MIB = 1024 * 1024
MAIN = """
import time
def work(input, context):
    content = context.read_file(input["file"])["body"]
    for number in range(3):
        print("line", number, flush=True)
        time.sleep(0.1)
    if b"bad" in content:
        raise ValueError("this file is bad")
    context.write_file(content.upper(), "upper.txt", "PROCESSED")
    return len(content)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory, stepline_cache):
    """A service with the pipeline ``upper``, which fires on files with the label ``go``."""
    served = Served(Project(tmp_path_factory.mktemp("served"), stepline_cache))
    try:
        served.simple("upper", MAIN, trigger={"all": ["category is raw", "labels.go exists"]})
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


@pytest.fixture
def upload(served, stepline, request):
    """Upload a file with the test's own name as its source, and return what is printed."""
    source = re.sub("[^a-z0-9]+", "-", request.node.name)

    def upload(content, *words, name="a.txt"):
        served.project.write(name, content)
        out, _ = stepline("upload", name, "--source-id", source, "--json", *words)
        [found] = json.loads(out)["files"]
        return found

    return upload


@pytest.fixture
def proxy(served):
    """Make a way to the service that breaks; returns variables that lead there."""
    made = []

    def proxy(**how):
        port = urlsplit(served.auth["api_url"]).port
        made.append(CuttingProxy(port, **how))
        address = f"http://127.0.0.1:{made[0].port}/v1"
        token, org = served.auth["auth_token"], served.auth["org"]
        names = {"API_URL": address, "AUTH_TOKEN": token, "ORG": org}
        return made[0], {f"STEPLINE_{name}": value for name, value in names.items()}

    yield proxy
    for each in made:
        each.close()


def workflow_of(sent):
    [decision] = [each for each in sent["decisions"] if each["decision"] == "fired"]
    return decision["workflowId"]


def ended(served, workflow_id):
    wait_for(lambda: served.get(f"/workflow/{workflow_id}")["status"] in ("completed", "failed"))
    return served.get(f"/workflow/{workflow_id}")


def test_upload_prints_what_fired_and_logs_follow_it_to_its_end(served, stepline):
    served.project.write("in/b.txt", "hello")
    words = ["--label", "go=1", "--tag", "x", "--meta", "k=v", "--source-type", "plates"]
    out, _ = stepline("upload", "in/b.txt", *words)
    found = re.fullmatch(r"(\S+)  upload/RAW/b.txt\n  fired: upper: workflow (\S+)\n", out)
    assert found, out
    logs, _ = stepline("workflow", "logs", "-f", found[2])
    assert logs.splitlines() == [f"work | line {number}" for number in range(3)]
    shown, _ = stepline("workflow", "show", found[2])
    assert "status:    completed" in shown
    assert "upload/PROCESSED/b.txt/upper.txt" in shown
    info = served.get(f"/fileinfo/{found[1]}")
    assert (info["tags"], info["metadata"], info["source"]["type"]) == (["x"], {"k": "v"}, "plates")


def test_upload_that_fires_nothing_says_how_to_learn_why(stepline, served):
    served.project.write("c.txt", "x")
    out, _ = stepline("upload", "c.txt", "--source-id", "quiet")
    file_id = out.split()[0]
    assert f"no pipeline fired; see: stepline explain {file_id}" in out
    for target in (file_id, "quiet/RAW/c.txt", "c.txt"):
        why, _ = stepline("explain", target)
        assert "not-matched  upper  labels.go exists: the file has none" in why
    of_pipeline, _ = stepline("explain", "upper", "--limit", "1000")
    assert "labels.go exists: the file has none" in of_pipeline


@pytest.mark.parametrize(
    ("words", "what"),
    [
        pytest.param(["no.txt"], "'no.txt' does not exist", id="no file"),
        pytest.param(["d.txt", "--label", "go"], "--label go has no '='", id="label"),
        pytest.param(["d.txt", "--meta", "a=1", "--meta", "a=2"], "given twice", id="meta"),
        pytest.param(["d.txt", "e.txt", "--path", "x"], "names one file", id="path"),
        pytest.param(["d.txt", "--source-id", "a/b"], "source id 'a/b'", id="source"),
    ],
)
def test_upload_bad_words_are_refused(served, stepline, words, what):
    for name in ("d.txt", "e.txt"):
        served.project.write(name, "x")
    assert what in stepline("upload", *words, code=2)[1]


def test_upload_large_file_goes_on_after_breaks(served, stepline, proxy):
    content = os.urandom(20 * MIB)
    served.project.write("large.bin", content)
    way, variables = proxy(after=5 * MIB, cuts=3)
    out, _ = stepline("upload", "large.bin", **variables)
    assert way.cuts == 3
    answer = served.http.get(f"/files/{out.split()[0]}/content")
    assert answer.content == content


def test_upload_gives_up_after_its_tries_with_the_reason(served, stepline, proxy):
    served.project.write("cut.bin", os.urandom(9 * MIB))
    _, variables = proxy(after=1000, cuts=1000)
    _, err = stepline("upload", "cut.bin", "--tries", "2", code=3, **variables)
    assert "no answer from" in err


def test_download_large_file_goes_on_after_breaks(served, stepline, upload, proxy):
    content = os.urandom(20 * MIB)
    sent = upload(content, name="down.bin")
    way, variables = proxy(after=6 * MIB, cuts=2)
    stepline("files", "download", sent["fileId"], "-o", "got.bin", **variables)
    assert way.cuts == 2
    assert (served.project.folder / "got.bin").read_bytes() == content
    assert not list(served.project.folder.glob(".got.bin*"))


def test_download_begins_with_what_an_earlier_one_left_and_verifies_it(served, stepline, upload):
    sent = upload(b"abcdef", name="half.txt")
    part = f".half2.txt.{sent['fileId']}.part"
    served.project.write(part, "abc")
    stepline("files", "download", sent["fileId"], "-o", "half2.txt")
    assert (served.project.folder / "half2.txt").read_bytes() == b"abcdef"
    served.project.write(part, "xyz")
    _, err = stepline("files", "download", sent["fileId"], "-o", "half2.txt", code=3)
    assert "the bytes that came have the SHA-256" in err
    assert not (served.project.folder / part).exists()


def test_download_leaves_a_file_alone_unless_it_is_named(served, stepline, upload):
    sent = upload(b"stored", name="mine.txt")
    served.project.write("mine.txt", "changed since")
    _, err = stepline("files", "download", sent["fileId"], code=2)
    assert "mine.txt is there already" in err
    out, _ = stepline("files", "download", sent["fileId"], "-o", "-")
    assert out == "stored"


def test_files_are_listed_labelled_searched_and_deleted(stepline, upload):
    sent = upload(b"x", "--path", "deep/list.txt")
    file_id, source = sent["fileId"], sent["source"]["id"]
    listed, _ = stepline("files", "list", f"{source}/RAW/deep")
    assert listed.split()[0] == file_id
    assert f"{source}/RAW/deep/list.txt" in listed
    stepline("files", "label", file_id, "add", "a=1", "a=2", "b=3")
    left, _ = stepline("files", "label", file_id, "remove", "a", "b=3")
    assert left == ""
    _, err = stepline("files", "label", file_id, "remove", "a", code=2)
    assert "the file has no label a" in err
    query = {"query": {"term": {"source.id": source}}}
    found, _ = stepline("files", "search", "-q", json.dumps(query))
    assert file_id in found
    stepline("files", "delete", file_id)
    assert stepline("files", "list", source) == ("", "no files\n")


def test_provenance_leads_back_to_the_file_that_arrived(served, stepline, upload):
    sent = upload(b"hello", "--label", "go=1")
    workflow = ended(served, workflow_of(sent))
    out, _ = stepline("files", "provenance", workflow["files"][0]["fileId"])
    assert out.splitlines()[1:] == [
        f"  by workflow {workflow['id']}, private-demo/upper:v1.0.0, from",
        f"    {sent['fileId']}  {sent['source']['id']}/RAW/a.txt",
    ]


def test_failed_workflow_is_shown_with_its_reason_and_can_be_retried(served, stepline, upload):
    workflow_id = workflow_of(upload(b"bad", "--label", "go=1"))
    logs, _ = stepline("workflow", "logs", "-f", "--step", "work", workflow_id, code=1)
    assert logs.count("work | line") == 3
    shown, _ = stepline("workflow", "show", workflow_id)
    assert "attempt 1: raised: this file is bad" in shown
    assert 'raise ValueError("this file is bad")' in shown
    listed, _ = stepline("workflow", "list", "--status", "failed", "--since", "1h", "--json")
    assert workflow_id in [each["id"] for each in json.loads(listed)["items"]]
    stepline("workflow", "retry", workflow_id)
    logs, _ = stepline("workflow", "logs", "-f", workflow_id, "--json", code=1)
    attempts = [json.loads(line)["attempt"] for line in logs.splitlines()]
    assert attempts == [1, 1, 1, 2, 2, 2]


GATED = """
import pathlib, time
def work(input, context):
    print("begun", flush=True)
    for _ in range(1200):
        if pathlib.Path({gate!r}).exists():
            print("done", flush=True)
            return 1
        time.sleep(0.05)
"""


def test_followed_log_goes_on_when_the_service_is_started_again(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    first = Served(project, "--port", port)
    gate = project.folder / "gate"
    first.simple("gated", GATED.format(gate=str(gate)))
    first.upload("a.txt", "x")
    [workflow] = first.workflows()
    following = project.start("workflow", "logs", "-f", workflow["id"], PYTHONUNBUFFERED="1")
    try:
        assert following.stdout.readline() == "work | begun\n"
        first.kill()
        second = Served(project, "--port", port)
        gate.touch()
        out, err = following.communicate(timeout=60)
        second.stop()
    finally:
        following.kill()
        following.wait()
    assert (following.returncode, out.splitlines()[-1:]) == (0, ["work | done"]), out + err


def test_reprocess_starts_again_just_what_is_meant(served, stepline, upload):
    served.pipeline("again", protocol="private-demo/upper:v1.0.0", trigger="labels.once exists")
    good, bad = upload(b"good", "--label", "once=1"), upload(b"bad", "--label", "once=1")
    for sent in (good, bad):
        ended(served, workflow_of(sent))
    words = ["reprocess", "again", "--failed", "--since", "1h"]
    assert stepline(*words, "--dry-run")[0].startswith(f"{bad['fileId']}  ")
    assert "again runs again for 1 file" in stepline(*words)[0]
    newest = served.workflows(pipelineId="again")[-1]
    assert newest["inputFileId"] == bad["fileId"]
    assert (
        "it is not said which files" in stepline("reprocess", "again", "--since", "1h", code=2)[1]
    )


def test_pipeline_paused_queues_and_resumed_starts(served, stepline, upload):
    served.pipeline("held", protocol="private-demo/upper:v1.0.0", trigger="labels.held exists")
    stepline("pipeline", "pause", "held")
    sent = upload(b"x", "--label", "held=1")
    [decision] = [each for each in sent["decisions"] if each["pipelineName"] == "held"]
    assert decision["decision"] == "paused"
    assert "pending, waiting" in stepline("workflow", "list", "--pipeline", "held")[0]
    stepline("pipeline", "resume", "held")
    assert ended(served, decision["workflowId"])["status"] == "completed"
    stepline("pipeline", "delete", "held")
    assert "there is no pipeline 'held'" in stepline("pipeline", "show", "held", code=2)[1]


def test_pipeline_plan_stores_nothing_and_says_what_would_fire(served, stepline, upload):
    sent = upload(b"x", "--label", "planned=1")
    file = served.pipeline_file(
        "plan", protocol="private-demo/upper:v1.0.0", trigger="labels.planned exists"
    )
    out, err = stepline("pipeline", "apply", file, "--plan")
    assert out == f"fired  {sent['source']['id']}/RAW/a.txt  labels.planned exists\n"
    assert "nothing was stored; it would fire on 1 stored files" in err
    assert "there is no pipeline 'plan'" in stepline("pipeline", "show", "plan", code=2)[1]


def test_pipeline_problems_come_with_their_lines(served, stepline):
    served.project.write("bad.yml", "name: x\nprotocol: private-demo/upper:v1.0.0\ntrigger: a is\n")
    _, err = stepline("pipeline", "apply", "bad.yml", code=2)
    assert re.search(r"^bad.yml:3:\d+: error: .*\n  trigger: a is\n +\^", err, re.MULTILINE)


def test_pipeline_problems_that_the_service_finds_come_with_their_lines_too(served, stepline):
    text = (
        "name: x\nprotocol: private-demo/uper:v1.0.0\ntrigger: labels.p contians 3\n"
        "config:\n  a: {secret: unset-key}\n"
    )
    served.project.write("bad.yml", text)
    for words in ((), ("--plan",)):
        _, err = stepline("pipeline", "apply", "bad.yml", *words, code=2)
        found = re.findall(r"^bad.yml:(\S+): error: .*\n  (.*)\n( +)\^\n  hint: (.*)", err, re.M)
        assert [(at, line[len(left) - 2 :]) for at, line, left, _ in found] == [
            ("2:11", "private-demo/uper:v1.0.0"),
            ("3:19", "contians 3"),
            ("5:15", "unset-key}"),
        ]
        hints = ["did you mean 'upper'?", "did you mean 'contains'?", "set it: stepline secret set"]
        assert all(hint in each[3] for hint, each in zip(hints, found, strict=True))


def test_settings_are_set_listed_and_deleted(stepline):
    stepline("setting", "set", "limits", "[1, 2]", "--as-json")
    stepline("setting", "set", "name", "[1, 2]")
    items = json.loads(stepline("setting", "list", "--json")[0])["items"]
    assert {"name": "limits", "value": [1, 2]} in items
    assert {"name": "name", "value": "[1, 2]"} in items
    stepline("setting", "delete", "limits")
    assert (
        "there is no shared setting 'limits'" in stepline("setting", "delete", "limits", code=2)[1]
    )
    assert "not valid JSON" in stepline("setting", "set", "x", "{", "--as-json", code=2)[1]


def test_secret_from_standard_input_is_stored_and_never_shown(served):
    for value, code in (("first-value-1", 0), ("tiny", 2), ("second-value", 0)):
        done = subprocess.run(
            served.project.command("secret", "set", "key.a", "--json"),
            input=f"{value}\n",
            cwd=served.project.folder,
            env=served.project.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert value not in done.stdout + done.stderr
    assert json.loads(done.stdout) == {"name": "key.a", "version": 2}
    assert served.run("secret", "list").startswith("key.a  version 2  20")


def test_secret_is_asked_for_unseen_on_a_terminal(served):
    project = served.project
    shown = run_on_terminal(
        project.command("secret", "set", "typed"),
        cwd=project.folder,
        environ=project.environ,
        answers=[("typed: ", "typed-in-secret")],
    )
    assert (shown.code, "typed-in-secret" in shown.raw) == (0, False)
    assert "the secret typed is stored, version 1" in shown.text


def test_lists_are_drawn_on_a_terminal(served):
    project = served.project
    shown = run_on_terminal(
        project.command("pipeline", "list"), cwd=project.folder, environ=project.environ
    )
    assert shown.code == 0
    assert re.search(r"NAME +STATUS +REVISION +PROTOCOL", shown.text)
    assert re.search(r"upper +enabled +revision 1 +private-demo/upper:v1.0.0", shown.text)


def test_artifacts_are_shown_fetched_and_deleted(served, stepline):
    served.put_script("gone", "def work(i, c): return 1\n", ["work"])
    name = "private-demo/gone:v1.0.0"
    assert name in stepline("artifact", "list", "--type", "task-script")[0]
    stepline("artifact", "source", "task-script", name)
    assert (served.project.folder / "gone-v1.0.0.zip").read_bytes().startswith(b"PK")
    digest = json.loads(stepline("artifact", "show", "task-script", name, "--json")[0])["hash"]
    stepline("artifact", "delete", "task-script", name)
    assert "is not published" in stepline("artifact", "show", "task-script", name, code=2)[1]
    stepline("artifact", "source", "task-script", digest, "-o", "still.zip")
    assert "names no version" in stepline("artifact", "show", "protocol", "x", code=2)[1]


def test_put_failed_build_prints_why_and_exits_with_1(served, stepline):
    folder = served.project.task_script("broken", "import nothing_like_it\n", ["work"])
    words = ("put", "task-script", "private-demo", "BROKEN", "1.0.0", folder)
    out, _ = stepline(*words, code=1)
    assert "the build of private-demo/broken:v1.0.0 failed" in out
    out, err = stepline(*words, "--json", code=1)
    result = json.loads(out)
    assert result["build"]["status"] == "FAILED"
    assert "error" in err
    log, _ = stepline("artifact", "log", result["build"]["id"], code=1)
    assert log.splitlines()[:-1] == err.splitlines()


def test_put_interrupted_leaves_the_build_running_and_says_so(served):
    main = "import time\nprint('slow')\ntime.sleep(3)\ndef work(i, c): return 1\n"
    folder = served.project.task_script("slow", main, ["work"])
    words = ("put", "task-script", "private-demo", "slow", "v1.0.0", folder)
    process = served.project.start(*words, PYTHONUNBUFFERED="1")
    try:
        for line in process.stdout:
            if "environment" in line:
                break
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    log = re.search(r"the build goes on without you; see it with: stepline (artifact log \S+)", err)
    assert log, err
    assert "the build succeeded" in served.run(*log[1].split())


@pytest.mark.parametrize(
    ("variables", "code", "what"),
    [
        pytest.param({"AUTH_TOKEN": "not-the-token"}, 2, "hint: the token of", id="token"),
        pytest.param({"ORG": "other"}, 2, "hint: look at org and auth_token", id="org"),
        pytest.param({"API_URL": "http://127.0.0.1:1/v1"}, 3, "is the service running?", id="none"),
    ],
)
def test_wrong_connection_is_told_with_what_to_do(served, stepline, variables, code, what):
    auth = {f"STEPLINE_{name.upper()}": str(value) for name, value in served.auth.items()}
    wrong = {f"STEPLINE_{name}": value for name, value in variables.items()}
    _, err = stepline("pipeline", "list", code=code, **{**auth, **wrong})
    assert what in err
    assert served.auth["auth_token"] not in err


def test_reader_that_goes_away_is_no_fault(served):
    command = " ".join(served.project.command("setting", "list"))
    served.run("setting", "set", "long", "x" * 100_000)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"],
        cwd=served.project.folder,
        env=served.project.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["workflow", "--help"]])
def test_help_imports_no_http_client(served, words):
    code = (
        "import sys\nfrom stepline.cli import stepline\n"
        f"try: stepline.main({words!r})\nexcept SystemExit: pass\n"
        "assert 'httpx' not in sys.modules and 'rich' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
