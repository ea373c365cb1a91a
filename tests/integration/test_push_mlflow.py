"""Pushes to MLflow end in one of three ways, judged by what the server itself has."""

import itertools
import time
from contextlib import contextmanager

import pytest

from stepline.app.run_secrets import reference
from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    Reply,
    Slow,
    WrongBytes,
    error_reply,
)
from stepline.testing.loopback.proxy import FaultProxy
from tests.support.executors import make_process_executor
from tests.support.projects import Project
from tests.support.pushing import (
    NOTHING,
    UNVERIFIED,
    VERIFIED,
    Pusher,
    kill_tasks,
    kill_workers,
    tuned,
)

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

FILES = {"plate.csv": b"well,od\nA1,0.25\n", "notes/ein schöner Tag.txt": b"a fine day\n"}
MORE = {"plate.csv": b"well,od\nA1,0.50\n"}
TOKEN = "correct-horse-battery"
SAID = {
    "params": {"dilution": 2, "assay": "BCA"},
    "metrics": {"r2": 0.998, "loss": [0.5, 0.25]},
    "tags": {"operator": "Ada"},
}
LESS_PATIENCE = """
RunsInExperiment.pause_s = 0.02
RunsInExperiment.settle_s = 0.3
RunsInExperiment.tries = 3
RunsInExperiment.listed, RunsInExperiment.looks_back = 2, 3

_push_model = push_model


def push_model(input, context):
    # Or push with each of some changes, after the word to the proxy which faults are to come: to
    # start a process that knows MLflow takes longer than all that it then does.
    if "each" not in input:
        return _push_model(input, context)
    return {"ends": [push_with(changes, input, context) for changes in input["each"]]}


def push_with(changes, input, context):
    import urllib.request

    if "case" in changes:
        urllib.request.urlopen("%s/case/%s" % (input["tracking_uri"], changes["case"])).read()
    try:
        return [_push_model({**input, **changes}, context)["end"], ""]
    except Exception as error:
        return [type(error).__name__, str(error)]
"""
ENDS = {"NotPublished": NOTHING, "Unverified": UNVERIFIED}
API = "/api/2.0/mlflow"
PUT_FILE = "PUT /api/2.0/mlflow-artifacts/artifacts/*/plate.csv"
GET_FILE = "GET /api/2.0/mlflow-artifacts/artifacts/*/plate.csv"
LIST = "GET /api/2.0/mlflow-artifacts/artifacts"
FINISH = f"POST {API}/runs/update"
VERSION = f"POST {API}/model-versions/create"
ALIAS = f"POST {API}/registered-models/alias"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    return tuned("push-mlflow", tmp_path_factory.mktemp("script"), LESS_PATIENCE)


@pytest.fixture(scope="module")
def executor(push_client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("executor")
    (folder / "tmp").mkdir()
    made = make_process_executor(push_client("push-mlflow"), folder / "tmp")
    yield made
    made.close()


@pytest.fixture
def name():
    """A name that nothing else at the server has."""
    return f"plates {next(_numbers)}"


@pytest.fixture
def proxy(mlflow_server):
    with FaultProxy(mlflow_server.url) as proxy:
        yield proxy


@pytest.fixture
def make(executor, script, tmp_path, name):
    """Make what pushes by one of the functions."""

    def make(function, url, **more):
        return Pusher(
            executor,
            script,
            function=function,
            folder=tmp_path / str(next(_numbers)),
            input={
                "tracking_uri": url,
                "experiment": name,
                "token": reference("token"),
                **SAID,
                **more,
            },
            secrets={"token": TOKEN},
        )

    return make


@pytest.fixture
def runner(make, proxy):
    """Pushes runs through the proxy."""
    return make("push-run", proxy.url)


@pytest.fixture
def modeller(make, proxy, name):
    """Pushes versions of a model through the proxy."""
    return make("push-model", proxy.url, model=name, alias="stable")


def finished(server, name, files=FILES):
    """Return the finished runs, oldest first, which have all of their files."""
    runs = [run for run in server.runs(name) if run["info"]["status"] == "FINISHED"]
    assert all(run["info"]["lifecycle_stage"] == "active" for run in runs)
    for run in runs if files else ():
        assert {path: server.artifact(run, path) for path in files} == files
    return runs


def ends_of(end):
    """Return outcome and words of each of the pushes of one attempt."""
    assert end.record.outcome.succeeded, end.words
    return [(ENDS.get(name, name), words) for name, words in end.record.outcome.value["ends"]]


def tags_of(run):
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def aliased(server, name):
    """Return the aliases of each version of a model, oldest first."""
    versions = server.versions(name)
    model = server.get("registered-models/get", name=name)["registered_model"]
    pairs = [(each["version"], each["alias"]) for each in model.get("aliases", ())]
    return [[a for number, a in pairs if number == v["version"]] for v in versions]


def test_push_run_is_verified_with_files_params_metrics_and_origin(runner, mlflow_server, name):
    end = runner.push(FILES, note="of Monday", run_name="Plate 7")

    assert end.outcome == VERIFIED, end.words
    (run,) = finished(mlflow_server, name)
    assert end.receipt["remote"]["version"] == run["info"]["run_id"]
    assert run["info"]["run_name"] == "Plate 7"
    assert {p["key"]: p["value"] for p in run["data"]["params"]} == {
        "dilution": "2",
        "assay": "BCA",
    }
    assert {m["key"]: m["value"] for m in run["data"]["metrics"]} == {"r2": 0.998, "loss": 0.25}
    tags = tags_of(run)
    assert (tags["operator"], tags["mlflow.note.content"]) == ("Ada", "of Monday")
    assert tags["stepline.push"] == runner.receipt_file(end)["key"]
    assert (tags["stepline.workflow"], tags["stepline.task_script"]) == (
        "workflow-1",
        "private-local/demo:v1.0.0",
    )
    assert tags["stepline.protocol"] == "private-local/push:v1.0.0"
    assert all(f'"{path}": {{"fileKey": "' in tags["stepline.files"] for path in FILES)


def test_push_run_of_other_content_is_a_second_one_and_of_the_same_nothing_new(
    runner, mlflow_server, name
):
    pushes = [("first", FILES), ("second", MORE), ("third", MORE), ("first", FILES)]
    ends = [runner.push(files, workflow=workflow) for workflow, files in pushes]
    assert [end.receipt["new"] for end in ends] == [True, True, False, False]
    runs = [run["info"]["run_id"] for run in finished(mlflow_server, name, {})]
    assert [end.receipt["remote"]["version"] for end in ends] == [runs[i] for i in (0, 1, 1, 0)]


def test_push_run_with_another_metric_is_a_new_one(runner, mlflow_server, name):
    ends = [runner.push(FILES, metrics={"r2": value}) for value in (0.9, 0.8)]
    assert [end.receipt["new"] for end in ends] == [True, True]
    assert len(finished(mlflow_server, name)) == 2


def test_push_run_goes_to_the_experiment_of_the_pipelines_name(runner, mlflow_server):
    before = len(finished(mlflow_server, "Plates", {}))
    end = runner.push({"a.txt": str(time.time()).encode()}, experiment=None)
    assert end.receipt["destination"]["ref"].endswith("/Plates")
    assert len(finished(mlflow_server, "Plates", {})) == before + 1


@pytest.mark.parametrize("function", ["push-run", "push-model"])
def test_push_to_mlflow_dry_run_changes_nothing(make, proxy, mlflow_server, name, function):
    pusher = make(function, proxy.url, model=name, alias="stable")
    end = pusher.push(FILES, dry_run=True)
    assert (end.outcome, end.receipt["would_publish"]) == (NOTHING, True)
    assert mlflow_server.experiment(name) is None
    assert mlflow_server.versions(name) == []


def test_push_to_mlflow_of_a_secret_is_stopped_before_anything_leaves(runner, proxy):
    end = runner.push({"a.txt": TOKEN.encode()})
    assert (end.outcome, "holds the value of the secret 'token'" in end.words) == (NOTHING, True)
    assert proxy.calls == ()


def test_push_to_mlflow_of_a_secret_in_what_is_said_is_stopped_before_anything_leaves(
    modeller, proxy
):
    given = [
        {"params": {"key": TOKEN}},
        {"note": TOKEN},
        {"run_name": f"run {TOKEN}"},
        {"experiment": TOKEN},
        {"alias": TOKEN},
        {"model": TOKEN},
    ]
    ends = ends_of(modeller.push(FILES, each=given))
    assert {outcome for outcome, _ in ends} == {NOTHING}
    assert [
        words for _, words in ends if "holds the value of the secret 'token'" not in words
    ] == []
    assert proxy.calls == ()


def test_push_to_mlflow_of_a_secret_in_the_tags_of_origin_is_stopped(runner, proxy):
    end = runner.push(FILES, workflow=TOKEN)
    assert (end.outcome, "holds the value of the secret 'token'" in end.words) == (NOTHING, True)
    assert proxy.calls == ()


def test_push_model_is_a_version_with_the_runs_files_and_the_alias(modeller, mlflow_server, name):
    pushes = [("first", FILES), ("second", MORE), ("third", MORE), ("first", FILES)]
    ends = [modeller.push(files, workflow=workflow) for workflow, files in pushes]
    assert [end.receipt["remote"]["version"] for end in ends] == ["1", "2", "2", "1"]
    # The retry of the first leaves the alias with the newer version.
    assert [end.receipt["remote"]["alias_version"] for end in ends] == ["1", "2", "2", "2"]
    assert aliased(mlflow_server, name) == [[], ["stable"]]
    first, second = mlflow_server.versions(name)
    assert [first["run_id"], second["run_id"]] == [
        run["info"]["run_id"] for run in finished(mlflow_server, name, {})
    ]
    assert tags_of({"data": first})["stepline.push"] == ends[0].receipt["key"]


def test_push_model_of_a_folder_that_mlflow_can_load_has_it_as_source(
    modeller, mlflow_server, name
):
    assert modeller.push({"m/MLmodel": b"flavors: {}\n", "m/w.bin": b"1"}).outcome == VERIFIED
    (version,) = mlflow_server.versions(name)
    assert version["source"].endswith("/artifacts/m")


def test_push_model_leaves_versions_of_others_as_they_are(modeller, mlflow_server, name):
    mlflow_server.post("registered-models/create", name=name)
    mlflow_server.post("model-versions/create", name=name, source="s3://elsewhere/model")
    assert modeller.push(FILES).receipt["remote"]["version"] == "2"
    assert aliased(mlflow_server, name) == [[], ["stable"]]


TRANSIENT = {
    "busy for a second": lambda: Refuse(PUT_FILE, 429, "slowly", retry_after=1, times=1),
    "failing twice": lambda: Refuse(f"POST {API}/runs/create", 503, "not now", times=2),
    "cut in mid-upload": lambda: Cut(PUT_FILE, 5, times=1),
    "slow": lambda: Slow(PUT_FILE, 0.5),
    "other bytes once": lambda: WrongBytes(GET_FILE, times=1),
    "error after the experiment": lambda: FailAfter(f"POST {API}/experiments/create", times=1),
    "error after the run is there": lambda: FailAfter(f"POST {API}/runs/create", times=1),
    "error after a file": lambda: FailAfter(PUT_FILE, 524, times=1),
    "error after the end": lambda: FailAfter(FINISH, times=1),
    "each answer of the end lost": lambda: CutReply(FINISH),
    "error after the version": lambda: FailAfter(VERSION, times=1),
    "error after the alias": lambda: FailAfter(ALIAS, times=1),
    "garbled answer": lambda: WrongBytes(f"POST {API}/runs/create", times=1),
}


# What is never taken, and what the retry then finds: nothing, or a run that is half done.
REFUSED = {
    "not signed in": (lambda: Refuse("*", 401, "who are you"), "who are you"),
    "no right": (lambda: Refuse(f"POST {API}/runs/create", 403, "not yours"), "not yours"),
    "no such server": (lambda: Refuse("*", 404, "nothing here"), "nothing here"),
    "no right to write files": (lambda: Refuse(PUT_FILE, 403, "not yours"), "not yours"),
    "no right to finish": (lambda: Refuse(FINISH, 403, "not yours"), "not yours"),
    "no right to register": (lambda: Refuse(VERSION, 403, "not yours"), "not yours"),
    "busy for hours": (lambda: Refuse(PUT_FILE, 429, "tomorrow", retry_after=9999), "tomorrow"),
    "failing always": (lambda: Refuse(PUT_FILE, 500, "out of order"), "out of order (HTTP 500)"),
    "failing in front of it": (lambda: Refuse(f"POST {API}/runs/create", 524, "late"), "HTTP 524"),
    "cut always": (lambda: Cut(PUT_FILE, 5), "onnection"),
    "run never finished": (lambda: Cut(FINISH, 5), "onnection"),
    "version never taken": (lambda: Refuse(VERSION, 503, "not now"), "not now (HTTP 503)"),
}
LEAVE_NOTHING = ("not signed in", "no right", "no such server", "failing in front of it")


DOUBTFUL = {
    "other bytes": (lambda: [WrongBytes(GET_FILE)], "plate.csv has the SHA-256"),
    "not to be listed": (lambda: [Refuse(LIST, 403, "not yours")], "not yours"),
    "not to be fetched": (lambda: [Refuse(GET_FILE, 404, "gone")], "plate.csv: 404 Client Error"),
    "alias refused": (lambda: [Refuse(ALIAS, 403, "not yours")], "what comes last failed"),
    "not to be seen after an error": (
        lambda: [
            FailAfter(VERSION),
            Refuse(f"GET {API}/model-versions/search", 500, "out of order", after=2),
        ],
        "it is not known whether",
    ),
}


class Played:
    """What came of a push of a model in which something went wrong, and of its retry.

    Args:
        name: Of experiment and model.
        server: The server.
    """

    def __init__(self, name, server):
        self.name = name
        self._server = server
        self.ends, self.versions, self.runs, self.aliases = [], [], [], []

    @property
    def input(self):
        """Return what the push is given."""
        return {"experiment": self.name, "model": self.name, "alias": "stable"}

    def add(self, end):
        """Keep the end of a push, and what is at the server then."""
        self.ends.append(end)
        self.versions.append(self._server.versions(self.name))
        self.runs.append(self._server.runs(self.name))
        self.aliases.append(aliased(self._server, self.name) if self.versions[-1] else [])


class Director:
    """A fault that puts those of a case behind itself when the push asks for it."""

    def __init__(self, proxy, cases):
        self._proxy, self._cases = proxy, list(cases.values())

    def __call__(self, request, answer):
        asked = request.path.partition("/case/")[2]
        if not asked:
            return answer(request)
        self._proxy.faults.clear()
        for fault in (self, *self._cases[int(asked)]()):
            self._proxy.faults.append(fault)
        return Reply(200)


@pytest.fixture(scope="module")
def plays(executor, script, mlflow_server, tmp_path_factory):
    """Make what pushes the models of several cases through one proxy."""

    @contextmanager
    def plays(kind, cases):
        with FaultProxy(mlflow_server.url) as proxy:
            pusher = Pusher(
                executor,
                script,
                function="push-model",
                folder=tmp_path_factory.mktemp(kind),
                input={"tracking_uri": proxy.url, "token": reference("token"), **SAID},
                secrets={"token": TOKEN},
            )
            names = {case: f"{case} {next(_numbers)}" for case in cases}
            yield pusher, proxy, {case: Played(names[case], mlflow_server) for case in cases}

    return plays


@pytest.fixture(scope="module")
def play(plays):
    """Play all cases of a kind, and then the retries of all, each time in one attempt."""
    done = {}

    def play(kind, cases):
        if kind not in done:
            with plays(kind, cases) as (pusher, proxy, found):
                proxy.faults.append(Director(proxy, cases))
                given = [played.input for played in found.values()]
                cued = [{**one, "case": number} for number, one in enumerate(given)]
                push_each(pusher, cued, found)
                proxy.faults.clear()
                push_each(pusher, given, found)
                done[kind] = found
        return done[kind]

    return play


def push_each(pusher, given, found):
    ends = ends_of(pusher.push(FILES, each=given))
    for played, end in zip(found.values(), ends, strict=True):
        played.add(end)


@pytest.mark.parametrize("fault", TRANSIENT)
def test_push_model_that_goes_wrong_for_a_while_is_verified_once(play, mlflow_server, fault):
    cases = {name: lambda make=make: [make()] for name, make in TRANSIENT.items()}
    played = play("transient", cases)[fault]
    assert played.ends == [(VERIFIED, "")] * 2
    assert len(finished(mlflow_server, played.name)) == 1
    assert played.aliases == [[["stable"]]] * 2


@pytest.mark.parametrize("fault", REFUSED)
def test_push_model_that_is_refused_publishes_nothing(play, mlflow_server, fault):
    cases = {name: lambda make=make: [make()] for name, (make, _) in REFUSED.items()}
    played = play("refused", cases)[fault]
    (outcome, words), retried = played.ends
    assert (outcome, retried) == (NOTHING, (VERIFIED, "")), words
    assert REFUSED[fault][1] in words
    assert [len(versions) for versions in played.versions] == [0, 1]
    assert bool(played.runs[0]) == (fault not in LEAVE_NOTHING)
    assert len(finished(mlflow_server, played.name)) == 1


@pytest.mark.parametrize("fault", DOUBTFUL)
def test_push_model_that_cannot_be_proven_is_unverified(play, fault):
    played = play("doubtful", {name: make for name, (make, _) in DOUBTFUL.items()})[fault]
    (outcome, words), retried = played.ends
    assert (outcome, retried) == (UNVERIFIED, (VERIFIED, "")), words
    assert DOUBTFUL[fault][1] in words
    # What is not verified gets no alias.
    assert played.aliases == [[[]], [["stable"]]]


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        ("push-run", lambda: Cut(FINISH, 5)),
        ("push-run", lambda: Refuse(FINISH, 524, "late")),
        ("push-model", lambda: Cut(VERSION, 5)),
    ],
    ids=["run cut", "run failing", "version cut"],
)
def test_push_to_mlflow_of_which_only_what_publishes_is_unclear_is_unverified(
    make, proxy, mlflow_server, name, function, fault
):
    pusher = make(function, proxy.url, **({"model": name} if function == "push-model" else {}))
    proxy.faults.append(fault())
    assert pusher.push(FILES).outcome == UNVERIFIED
    proxy.faults.clear()
    assert pusher.push(FILES).outcome == VERIFIED
    assert len(finished(mlflow_server, name)) == 1


def test_push_run_shows_no_query_of_any_address(runner, proxy):
    proxy.__exit__(None, None, None)
    end = runner.push(FILES)
    assert (end.outcome, "with url: /api/2.0/mlflow/experiments" in end.words) == (NOTHING, True)
    assert "experiment_name=" not in end.words + end.log


def test_push_run_that_is_refused_half_way_says_that_it_failed(runner, mlflow_server, proxy, name):
    proxy.faults.append(Refuse(PUT_FILE, 403, "not yours"))
    assert runner.push(FILES).outcome == NOTHING
    assert [run["info"]["status"] for run in mlflow_server.runs(name)] == ["FAILED"]


def test_push_run_is_found_again_below_many_newer_ones(runner, mlflow_server, name):
    first = runner.push(FILES).receipt["remote"]["version"]
    experiment = mlflow_server.runs(name)[0]["info"]["experiment_id"]
    tags = [{"key": "stepline.push", "value": "0" * 32}]
    for _ in range(3):
        made = mlflow_server.post("runs/create", experiment_id=experiment, tags=tags)
        ended = {"status": "FINISHED", "end_time": int(time.time() * 1000) + 10_000}
        mlflow_server.post("runs/update", run_id=made["run"]["info"]["run_id"], **ended)
    receipt = runner.push(FILES).receipt
    assert (receipt["new"], receipt["remote"]["version"]) == (False, first)
    assert len(mlflow_server.runs(name)) == 4


def test_push_model_is_found_again_below_many_newer_ones(modeller, mlflow_server, name):
    modeller.push(FILES)
    for _ in range(3):
        mlflow_server.post("model-versions/create", name=name, source="s3://elsewhere/model")
    receipt = modeller.push(FILES).receipt
    assert (receipt["new"], receipt["remote"]["version"]) == (False, "1")
    assert len(mlflow_server.versions(name)) == 4


def test_push_run_that_somebody_deleted_since_is_pushed_anew(runner, mlflow_server, name):
    assert runner.push(FILES).outcome == VERIFIED
    (run,) = finished(mlflow_server, name)
    mlflow_server.post("runs/delete", run_id=run["info"]["run_id"])
    assert runner.push(FILES).receipt["new"]
    assert [run["info"]["lifecycle_stage"] for run in mlflow_server.runs(name)] == [
        "deleted",
        "active",
    ]


def test_push_run_that_somebody_deletes_meanwhile_is_unverified(runner, mlflow_server, proxy, name):
    hold = Hold(f"GET {API}/runs/get", after=1)
    proxy.faults.append(hold)
    with runner.pushing(FILES) as ends:
        assert hold.reached.wait(60)
        (run,) = finished(mlflow_server, name)
        mlflow_server.post("runs/delete", run_id=run["info"]["run_id"])
        hold.release()
    assert ends[0].outcome == UNVERIFIED
    assert "the run was deleted in the meantime" in ends[0].words


def test_push_model_that_somebody_else_overtakes_leaves_the_alias_with_the_newer(
    modeller, make, mlflow_server, proxy, name
):
    hold = Hold(LIST, times=1)
    proxy.faults.append(hold)
    other = make("push-model", mlflow_server.url, model=name, alias="stable")
    with modeller.pushing(FILES) as ends:
        assert hold.reached.wait(60)
        assert other.push(MORE, workflow="of somebody else").outcome == VERIFIED
        hold.release()
    assert ends[0].outcome == VERIFIED
    assert ends[0].receipt["remote"]["alias_version"] == "2"
    assert aliased(mlflow_server, name) == [[], ["stable"]]


STAGES = {
    "before the experiment": lambda: Hold(f"POST {API}/experiments/create"),
    "before the run": lambda: Hold(f"POST {API}/runs/create"),
    "after the run": lambda: Hold(f"POST {API}/runs/create", before_effect=False),
    "before a file": lambda: Hold(PUT_FILE),
    "after a file": lambda: Hold(PUT_FILE, before_effect=False),
    "before it is finished": lambda: Hold(FINISH),
    "after it is finished": lambda: Hold(FINISH, before_effect=False),
    "before the version": lambda: Hold(VERSION),
    "after the version": lambda: Hold(VERSION, before_effect=False),
    "before it reads back": lambda: Hold(LIST),
    "before the alias": lambda: Hold(ALIAS),
    "after the alias": lambda: Hold(ALIAS, before_effect=False),
}


@pytest.fixture(scope="module")
def killed(plays):
    """Kill a push at each stage, and then retry them all in one attempt."""
    with plays("killed", STAGES) as (pusher, proxy, found):
        for stage, played in found.items():
            hold = STAGES[stage]()
            proxy.faults.append(hold)
            with pusher.pushing(FILES, **played.input) as ends:
                assert hold.reached.wait(60), stage
                kill_tasks()
            hold.release()
            proxy.faults.clear()
            played.add(ends[0].record.outcome.succeeded)
        push_each(pusher, [played.input for played in found.values()], found)
        return found


@pytest.mark.parametrize("stage", STAGES)
def test_push_model_killed_and_retried_leaves_one_version(killed, mlflow_server, stage):
    played = killed[stage]
    assert played.ends == [False, (VERIFIED, "")]
    assert len(played.runs[1]) == len(finished(mlflow_server, played.name)) == 1
    assert played.aliases[1] == [["stable"]]


def test_push_run_whose_worker_is_killed_and_whose_run_appears_late_is_there_once(
    runner, mlflow_server, proxy, name
):
    hold = Hold(f"POST {API}/runs/create", times=1)
    proxy.faults.append(hold)
    with runner.pushing(FILES):
        assert hold.reached.wait(60)
        kill_workers()
    assert runner.push(FILES).outcome == VERIFIED
    hold.release()
    again = runner.push(FILES)
    assert (again.outcome, again.receipt["new"]) == (VERIFIED, False)
    assert len(finished(mlflow_server, name)) == 1
    # What arrived late is closed by the next look.
    statuses = sorted(run["info"]["status"] for run in mlflow_server.runs(name))
    assert statuses == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param({}, (None, TOKEN), id="token"),
        pytest.param(
            {"token": None, "username": "ada", "password": reference("token")},
            ("ada", TOKEN),
            id="user",
        ),
    ],
)
def test_push_run_signs_in_with_every_request(runner, mlflow_server, proxy, name, given, wanted):
    def guard(request, answer):
        if request.credentials != wanted:
            return error_reply(401, "who are you")
        return answer(request)

    proxy.faults.append(guard)
    end = runner.push(FILES, **given)
    assert end.outcome == VERIFIED, end.words
    assert TOKEN not in end.log
    end = runner.push(MORE, token=None)
    assert (end.outcome, "who are you" in end.words) == (NOTHING, True)
    assert len(finished(mlflow_server, name)) == 1


OPEN = {"tracking_uri": "http://mlflow.example.org"}
BY_NAME = {"token": None, "username": "ada"}
WRONG_INPUT = [
    ({"tracking_uri": None}, "input 'tracking_uri' is missing"),
    ({"tracking_uri": "sqlite:///here.db"}, "input 'tracking_uri' is no address"),
    ({"tracking_uri": "http://me:word@127.0.0.1:1"}, "has credentials in it"),
    (OPEN, "the token would be readable on its way"),
    ({**OPEN, **BY_NAME, "password": reference("token")}, "the password would be readable"),
    ({"username": "ada"}, "not both"),
    (BY_NAME, "input 'password' is missing"),
    ({"metrics": {"r2": "high"}}, "'r2' is a number"),
    ({"params": {"a#b": 1}}, "'a#b' cannot be a name"),
    ({"params": {"long": "x" * 6001}}, "'long' is longer than 6000 characters"),
    ({"tags": {"stepline.push": "x"}}, "is kept for the platforms' own tags"),
    ({"model": "a/b"}, "input 'model'"),
    ({"alias": "latest"}, "input 'alias'"),
    ({"alias": "v7"}, "input 'alias'"),
    ({"dry_run": "false"}, "input 'dry_run' is true or false"),
]


def test_push_model_of_wrong_input_names_it(modeller, proxy):
    end = modeller.push(FILES, each=[changes for changes, _ in WRONG_INPUT])
    wanted, found = [words for _, words in WRONG_INPUT], [words for _, words in ends_of(end)]
    assert [pair for pair in zip(wanted, found, strict=True) if pair[0] not in pair[1]] == []
    assert proxy.calls == ()


def test_push_model_over_http_tries_it_where_that_is_allowed_or_nobody_signs_in(modeller):
    url = {"tracking_uri": "http://no-such-server.invalid"}
    given = [{**url, "allow_http": True}, {**url, "token": None}]
    ends = ends_of(modeller.push(FILES, each=given))
    assert [words for _, words in ends if "onnection" not in words] == []


@pytest.mark.parametrize(
    ("path", "words"),
    [("50%41.csv", "with ?, # or % in its name"), ("a/b/b", "alone in a folder of its name")],
)
def test_push_run_of_a_file_that_mlflow_would_not_show_is_refused(
    runner, mlflow_server, name, path, words
):
    end = runner.push({path: b"x", "other": b"y"})
    assert (end.outcome, words in end.words) == (NOTHING, True)
    assert mlflow_server.experiment(name) is None


def test_push_run_of_names_that_mlflow_keeps_as_they_are(runner, mlflow_server, name):
    files = {"semi;colon & x=1+2.txt": b"1", "b/b": b"2", "b/c": b"3", "a/b/b/c": b"4"}
    assert runner.push(files).outcome == VERIFIED
    assert len(finished(mlflow_server, name, files)) == 1


def test_push_run_to_a_deleted_experiment_says_so(runner, mlflow_server, name):
    made = mlflow_server.post("experiments/create", name=name)["experiment_id"]
    mlflow_server.post("experiments/delete", experiment_id=made)
    end = runner.push(FILES)
    assert (end.outcome, "is deleted: restore or rename it" in end.words) == (NOTHING, True)


@pytest.mark.parametrize("what", ["run", "model"])
def test_push_to_mlflow_from_the_command_line(mlflow_server, push_client, tmp_path, name, what):
    project = Project(tmp_path, push_client("push-mlflow"))
    project.write("plate.csv", FILES["plate.csv"])
    config = {"tracking_uri": mlflow_server.url, "experiment": name}
    config |= {"model": name, "alias": "stable"} if what == "model" else {"params": '{"n": 3}'}
    words = [word for pair in config.items() for word in ("--config", "=".join(pair))]
    run = ["run", f"common/push-{what}-to-mlflow", "--input", "plate.csv", "--out", "results"]
    done = project.stepline(*run, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = finished(mlflow_server, name, {"plate.csv": FILES["plate.csv"]})
    assert tags_of(run)["stepline.task_script"] == "common/push-mlflow:v1.0.0"
    assert '"fileKey": "local/' in tags_of(run)["stepline.input_file"]
    assert run["data"].get("params", []) == ([{"key": "n", "value": "3"}] if what == "run" else [])
    assert what == "run" or aliased(mlflow_server, name) == [["stable"]]
