"""Acceptance checks of the push-pipeline system (A.003) that need no image.

Each test is named after its check.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "fixtures" / "task-scripts" / "reference-push"
KAGGLE_KEY = "0123456789abcdef0123456789abcdef"


def run(project, *words, protocol="p", data="in.json", **variables):
    """Run the project's protocol on its input, results in ``results``."""
    return project.stepline(
        *("run", f"protocols/{protocol}", "--input", data, "--out", "results"), *words, **variables
    )


def steps_of(project):
    return {step["name"]: step for step in project.record()["steps"]}


@pytest.mark.parametrize(
    ("runtime", "words"),
    [("python2.7", "python2.7"), ("node18", "node18"), ("python3.99", "python3.99")],
)
def test_3_06_runtime_that_cannot_be_had_is_refused_by_name(project, runtime, words):
    project.task_script("s", "def f(i, c): return 1\n", ["f"], runtime=runtime)
    project.protocol("p", [{"id": "a", "function": "s/f"}])
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 2
    assert words in result.stderr
    assert "config.json" in result.stderr


def test_3_06_no_runtime_means_the_platforms_python_with_a_warning(project):
    main = "import sys\ndef f(i, c): return list(sys.version_info[:2])\n"
    folder = project.task_script("s", main, ["f"])
    config = json.loads((folder / "config.json").read_text())
    del config["runtime"]
    (folder / "config.json").write_text(json.dumps(config))
    project.protocol("p", [{"id": "a", "function": "s/f"}])
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 0, result.stderr
    assert steps_of(project)["a"]["output"] == list(sys.version_info[:2])
    assert "3.7" in result.stderr
    assert "warning" in result.stderr


def test_3_09_unknown_function_is_refused_with_slugs_and_nearest(project):
    project.task_script("s", "def push_data(i, c): pass\n", ["push_data"])
    project.protocol("p", [{"id": "a", "function": "s/push-dta"}])
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 2
    assert "`push-dta`" in result.stderr
    assert "did you mean 'push-data'?" in result.stderr
    assert not (project.folder / "results").exists()


def test_3_12_expressions_hold_the_values_when_a_step_starts(project):
    project.task_script("s", "def f(i, c): return i\n", ["f"])
    project.protocol(
        "p",
        [
            {
                "id": "a",
                "function": "s/f",
                "input": {"file": "$( workflow.inputFile )", "n": ["$( config.n )", "x $( y )"]},
            }
        ],
        config={"n": {"label": "N", "type": "number", "required": True}},
    )
    project.write("in.json", "{}")
    result = run(project, "--config", "n=4.5")
    assert result.returncode == 0, result.stderr
    output = steps_of(project)["a"]["output"]
    assert output["n"] == [4.5, "x $( y )"]
    assert output["file"]["type"] == "s3file"
    assert output["file"]["fileKey"].endswith("/RAW/in.json")


def test_3_12_unknown_name_fails_before_the_run_with_line_and_column(project):
    project.task_script("s", "def f(i, c): return i\n", ["f"])
    text = (
        "protocolSchema: v3\nsteps:\n- id: a\n"
        "  task: {namespace: private-demo, slug: s, version: v1.0.0, function: f}\n"
        "  input:\n    n: $( config.missing )\n"
    )
    project.write("protocols/p/protocol.yml", text)
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 2
    assert "protocol.yml:6:" in result.stderr
    assert "missing" in result.stderr


def test_3_13_a_later_step_uses_an_earlier_steps_value(project):
    main = "def one(i, c): return {'n': 1}\ndef two(i, c): return i['n'] + 1\n"
    project.task_script("s", main, ["one", "two"])
    project.protocol(
        "p",
        [
            {"id": "one", "function": "s/one"},
            {"id": "two", "function": "s/two", "input": {"n": "$( steps.one.output.n )"}},
        ],
    )
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 0, result.stderr
    assert project.record()["output"] == 2


def test_3_13_a_failed_step_stops_the_workflow_and_skips_the_rest(project):
    main = "def ok(i, c): return 1\ndef bad(i, c): raise ValueError('no such plate')\n"
    project.task_script("s", main, ["ok", "bad"])
    names = [("a", "ok"), ("b", "bad"), ("c", "ok"), ("d", "ok")]
    project.protocol("p", [{"id": i, "function": f"s/{f}"} for i, f in names])
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 1
    found = {name: step["status"] for name, step in steps_of(project).items()}
    assert found == {"a": "success", "b": "failed", "c": "skipped", "d": "skipped"}
    assert project.record()["error"] == "no such plate"


SECRET_MAIN = """
import base64, json, sys, urllib.parse
def f(i, c):
    value = c.resolve_secret(i["key"])
    print("raw", value)
    print("json", json.dumps({"k": value}))
    print("url", urllib.parse.quote(value, safe=""))
    for pad in range(3):
        print("b64", base64.b64encode(b"x" * pad + value.encode() + b"tail").decode())
    print("line", value.splitlines()[0], file=sys.stderr)
    sys.stdout.write("y" * 65530 + value + "z" * 70000)
    c.get_logger().info("logged " + value)
    assert "key" not in str(c.pipeline_config) or value not in str(c.pipeline_config)
    return {"length": len(value), "leak": value}
def g(i, c):
    raise RuntimeError("cannot use " + c.resolve_secret(i["key"]))
"""


@pytest.mark.parametrize("function", ["f", "g"], ids=["printed and returned", "raised"])
def test_3_14_3_15_a_secret_is_resolved_and_shown_nowhere(project, function):
    """The value is asked for by the function; only the reference and *** are left of it."""
    value = 'p"ass/w+ör\\d\nsecond line: 42=='
    project.task_script("s", SECRET_MAIN, ["f", "g"])
    project.protocol(
        "p",
        [{"id": "a", "function": f"s/{function}", "input": {"key": "$( config.key )"}}],
        config={"key": {"label": "Key", "type": "secret", "required": True}},
    )
    project.write("in.json", "{}")
    result = run(project, "--secret", "key=env:MY_KEY", MY_KEY=value)
    assert result.returncode == (1 if function == "g" else 0), result.stderr
    shown = result.stdout + result.stderr
    kept = "".join(path.read_text() for path in (project.folder / "results").rglob("*.*"))
    assert steps_of(project)["a"]["input"] == {
        "key": {"ssm": "/local/local/org-secrets/key", "secret": True}
    }
    assert "***" in shown
    assert "***" in kept
    for form in forms_of(value):
        assert form not in shown
        assert form not in kept


def forms_of(value):
    """Give the forms of a secret that must not be seen, written here without our masking."""
    import base64
    import urllib.parse

    yield from (value, *value.splitlines(), json.dumps(value)[1:-1], repr(value)[1:-1])
    yield urllib.parse.quote(value, safe="")
    data = value.encode()
    for pad in range(3):
        text = base64.b64encode(b"x" * pad + data + b"tail").decode()
        yield text[4 : len(text) - 12]


def test_3_14_missing_secret_is_known_before_the_first_step(project):
    project.task_script("s", "def f(i, c): print('ran')\n", ["f"])
    project.protocol(
        "p",
        [{"id": "a", "function": "s/f"}],
        config={"key": {"label": "Key", "type": "secret", "required": True}},
    )
    project.write("in.json", "{}")
    missing = run(project)
    unset = run(project, "--secret", "key=env:NOT_SET_ANYWHERE")
    short = run(project, "--secret", "key=env:SHORT", SHORT="abc")
    assert [r.returncode for r in (missing, unset, short)] == [2, 2, 2]
    assert "config 'key' (Key) is required" in missing.stderr
    assert "NOT_SET_ANYWHERE" in unset.stderr
    assert "under 6" in short.stderr
    assert "ran" not in missing.stdout + unset.stdout + short.stdout


READ_MAIN = """
import resource, os
def body(i, c): return c.read_file(i["file"])["body"].decode()
def file_obj(i, c): return c.read_file(i["file"], form="file_obj")["file_obj"].read().decode()
def download(i, c):
    path = c.read_file(i["file"], form="download")["download"]
    open(path, "a").write("changed")
    return [path.startswith(c.tmp_dir), os.path.basename(path)]
def big(i, c):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stream = c.read_file(i["file"], form="file_obj")["file_obj"]
    size = 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
    path = c.read_file(i["file"], form="download")["download"]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"size": size, "copy": os.path.getsize(path), "grown_kib": grown}
"""


@pytest.mark.parametrize("form", ["body", "file_obj", "download"])
def test_3_18_read_file_gives_bytes_stream_or_a_private_copy(project, form):
    project.task_script("s", READ_MAIN, ["body", "file_obj", "download"])
    project.protocol(
        "p",
        [
            {
                "id": "a",
                "function": f"s/{form.replace('_', '-')}",
                "input": {"file": "$( workflow.inputFile )"},
            }
        ],
    )
    path = project.write("in.json", '{"a": 1}')
    result = run(project)
    assert result.returncode == 0, result.stderr
    expected = [True, "in.json"] if form == "download" else '{"a": 1}'
    assert project.record()["output"] == expected
    assert path.read_text() == '{"a": 1}'


def test_3_18_a_file_of_1_gb_does_not_raise_memory(project):
    project.task_script("s", READ_MAIN, ["big"], memoryInMB=200)
    step = {"id": "a", "function": "s/big", "input": {"file": "$( workflow.inputFile )"}}
    project.protocol("p", [step])
    path = project.folder / "big.bin"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    result = run(project, data="big.bin")
    assert result.returncode == 0, result.stderr
    output = project.record()["output"]
    assert output["size"] == output["copy"] == 1 << 30
    assert output["grown_kib"] < 64 * 1024


def test_3_19_write_file_makes_a_version_with_all_its_properties(project):
    main = (
        "def f(i, c):\n"
        "    return c.write_file('a,b', 'out.csv', 'PROCESSED', custom_metadata={'k': 'v'},\n"
        "        custom_tags=['t'], labels=[{'name': 'plate', 'value': '7'}])\n"
    )
    project.task_script("s", main, ["f"])
    project.protocol("p", [{"id": "a", "function": "s/f"}])
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 0, result.stderr
    entry = project.files()["out.csv"]
    assert entry["category"] == "PROCESSED"
    assert (entry["metadata"], entry["tags"]) == ({"k": "v"}, ["t"])
    assert [(label["name"], label["value"]) for label in entry["labels"]] == [("plate", "7")]
    assert entry["sourceFileId"] == project.record()["input"]["file"]["fileId"]
    assert (project.folder / "results" / entry["path"]).read_text() == "a,b"
    assert project.record()["output"]["fileId"] == entry["file"]["fileId"]


@pytest.fixture
def reference_push(project):
    """The reference's own push step, in a protocol; its client comes from requirements.txt."""
    (project.folder / "task-scripts").mkdir()
    os.symlink(REFERENCE, project.folder / "task-scripts" / "reference-push")
    project.protocol(
        "p",
        [
            {
                "id": "push",
                "function": "reference-push/push-data",
                "input": {
                    "input_file_pointer": "$( workflow.inputFile )",
                    "kaggle_username": "$( config.kaggle_username )",
                    "kaggle_api_key": "$( config.kaggle_api_key )",
                },
            }
        ],
        config={
            "kaggle_username": {"label": "User", "type": "string", "required": True},
            "kaggle_api_key": {"label": "Key", "type": "secret", "required": True},
        },
    )
    document = {"extra_data": {"od600": [0.1, 0.25], "plate": "P-7 µ"}, "other": 1}
    project.write("in.json", json.dumps(document))
    project.extra_data = document["extra_data"]
    return project


@pytest.mark.kaggle
def test_3_22_3_25_the_references_push_arrives_with_the_right_bytes_alone(reference_push):
    """Run in the script folder, the same calls would publish the task script too."""
    with KaggleStandIn() as kaggle:
        env = [word for name, value in kaggle.env.items() for word in ("--env", f"{name}={value}")]
        words = ("--config", "kaggle_username=me", "--secret", "kaggle_api_key=env:KEY", *env)
        result = run(reference_push, *words, KEY=KAGGLE_KEY)
        assert result.returncode == 0, result.stderr
        (dataset,) = kaggle.datasets.values()
        (version,) = dataset.versions
        assert (dataset.owner, dataset.slug) == ("me", "exampledataset")
        assert [file.name for file in version.files] == ["data.json"]
        pushed = json.loads(kaggle.blob(version.files[0].sha256))
    assert pushed == {"data": reference_push.extra_data}
    assert reference_push.record()["output"] == {}
    assert KAGGLE_KEY not in json.dumps(reference_push.record())


def test_3_25_a_function_finds_an_empty_folder_but_for_func(project):
    main = (
        "import os\n"
        "def f(i, c):\n"
        "    found = sorted(os.listdir('.'))\n"
        "    open('made.txt', 'w').write('x')\n"
        "    return [found, sorted(os.listdir('func')), open('./func/data.txt').read()]\n"
    )
    folder = project.task_script("s", main, ["f"])
    (folder / "data.txt").write_text("bundled")
    project.protocol("p", [{"id": "a", "function": "s/f"}, {"id": "b", "function": "s/f"}])
    project.write("in.json", "{}")
    result = run(project)
    assert result.returncode == 0, result.stderr
    for step in steps_of(project).values():
        found, bundled, text = step["output"]
        assert found == ["func"]
        assert {"main.py", "config.json", "data.txt"} <= set(bundled)
        assert text == "bundled"
    assert not list(folder.glob("made*"))


def test_3_27_the_same_context_runs_against_local_files(project):
    folder = project.task_script("s", READ_MAIN, ["body"])
    project.write("data/run.txt", "content")
    result = project.stepline(
        *("call", folder, "body", "--file", "file=data/run.txt", "--out", "results")
    )
    assert result.returncode == 0, result.stderr
    assert project.record()["output"] == "content"


def test_3_28_a_failed_run_is_recorded_and_its_retry_uses_exactly_that(project):
    main = "def ok(i, c): return 'first'\ndef bad(i, c):\n    raise ValueError('version one')\n"
    folder = project.task_script("s", main, ["ok", "bad"])
    project.protocol("p", [{"id": "a", "function": "s/ok"}, {"id": "b", "function": "s/bad"}])
    project.write("in.json", '{"n": 1}')
    assert run(project).returncode == 1
    before = project.record()
    failed = before["steps"][1]["attempts"][0]
    assert failed["traceback"].splitlines()[1].strip().startswith('File "func/main.py", line 3')
    assert before["steps"][1]["taskScript"]["digest"].startswith("sha256:")
    assert before["input"]["file"]["version"]
    (folder / "main.py").write_text(main.replace("version one", "version two"))
    result = project.stepline("run", "protocols/p", "--out", "results", "--retry")
    assert result.returncode == 1
    after = project.record()
    assert after["id"] == before["id"]
    assert [a["attempt"] for a in after["steps"][0]["attempts"]] == [1]
    assert [a["attempt"] for a in after["steps"][1]["attempts"]] == [1, 2]
    assert after["steps"][1]["attempts"][1]["message"] == "version one"
    assert after["steps"][1]["taskScript"] == before["steps"][1]["taskScript"]


def test_3_28_retry_refuses_an_input_that_has_changed(project):
    project.task_script("s", "def bad(i, c): raise ValueError('x')\n", ["bad"])
    project.protocol("p", [{"id": "b", "function": "s/bad"}])
    project.write("in.json", '{"n": 1}')
    assert run(project).returncode == 1
    project.write("in.json", '{"n": 2}')
    result = project.stepline("run", "protocols/p", "--out", "results", "--retry")
    assert result.returncode == 2
    assert "in.json: error: the input file is not what it was" in result.stderr


KEEPING_MAIN = """
def f(i, c):
    value = c.resolve_secret(i["key"])
    where = {
        "label": lambda: c.add_labels(c.input_file, [{"name": "key", "value": value}]),
        "tag": lambda: c.write_file("x", "a.txt", "PROCESSED", custom_tags=["t " + value]),
        "metadata": lambda: c.write_file("x", "a.txt", "PROCESSED", custom_metadata={"k": value}),
        "name": lambda: c.write_file("x", value + ".txt", "PROCESSED"),
    }
    where[i["where"]]()
"""


@pytest.mark.parametrize("where", ["label", "tag", "metadata", "name"])
def test_3_14_a_secret_cannot_be_kept_beside_a_file(project, where):
    project.task_script("s", KEEPING_MAIN, ["f"])
    project.protocol(
        "p",
        [{"id": "a", "function": "s/f", "input": {"key": "$( config.key )", "where": where}}],
        config={"key": {"label": "Key", "type": "secret", "required": True}},
    )
    project.write("in.json", "{}")
    result = run(project, "--secret", "key=env:MY_KEY", MY_KEY="very-secret-42")
    assert result.returncode == 1
    assert "may not hold a secret's value" in project.record()["error"]
    assert "very-secret-42" not in result.stdout + result.stderr
    assert "very-secret-42" not in (project.folder / "results/files.json").read_text()
