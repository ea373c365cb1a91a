"""Published versions, builds and their logs, small values, and the intake."""

from dataclasses import replace

from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName, Build, BuildStatus
from tests.contract.state_suite.values import read

SCRIPT, PROTOCOL = ArtifactKind.TASK_SCRIPT, ArtifactKind.PROTOCOL


def name(version="v1.0.0", slug="push", kind=SCRIPT, namespace="common"):
    return ArtifactName(kind, namespace, slug, version)


def artifact(named, digest="sha256:aa", archive="blob-a", **given):
    fields = {"build_id": "b-1", "created_at": "t", "updated_at": "u", "forced": 0}
    return Artifact(name=named, digest=digest, archive=archive, **{**fields, **given})


def publish(state, *artifacts):
    state.write(lambda transaction: [transaction.artifacts.publish(one) for one in artifacts])


def test_state_artifact_comes_back_until_it_is_deleted(state):
    publish(state, artifact(name()), artifact(name(kind=PROTOCOL), digest="sha256:bb"))
    with state.read() as view:
        assert view.artifacts.get(name()) == artifact(name())
        assert view.artifacts.get(name("v1.0.1")) is None
    state.write(lambda transaction: transaction.artifacts.delete(name()))
    with state.read() as view:
        assert view.artifacts.get(name()) is None
        assert view.artifacts.get(name(kind=PROTOCOL)) is not None
        assert view.artifacts.archive_of("sha256:aa") == "blob-a"


def test_state_artifact_that_is_moved_keeps_its_old_digest_known(state):
    moved = artifact(name(), digest="sha256:bb", archive="blob-b", forced=1)
    publish(state, artifact(name()), moved)
    with state.read() as view:
        assert view.artifacts.get(name()) == moved
        archives = [view.artifacts.archive_of(f"sha256:{end}") for end in ("aa", "bb", "cc")]
        assert archives == ["blob-a", "blob-b", None]


def test_state_artifact_published_again_is_had_from_its_newest_archive(state):
    publish(state, artifact(name()), artifact(name(), archive="blob-new", forced=1))
    with state.read() as view:
        assert view.artifacts.archive_of("sha256:aa") == "blob-new"


def test_state_artifacts_are_sorted_by_name_and_version(state):
    versions = ["v1.10.0", "v1.2.0", "v1.2.0-rc.1", "v1.2.0-beta"]
    named = [name(version) for version in versions]
    others = [name(slug="a"), name(namespace="private-x"), name(kind=PROTOCOL)]
    publish(state, *map(artifact, [*named, *others]))
    with state.read() as view:
        found = [str(one.name) for one in view.artifacts.list(SCRIPT)]
        pushes = ["common/push:v1.2.0-beta", "common/push:v1.2.0-rc.1", "common/push:v1.2.0"]
        pushes.append("common/push:v1.10.0")
        assert found == ["common/a:v1.0.0", *pushes, "private-x/push:v1.0.0"]
        some = view.artifacts.list(SCRIPT, namespace="common", slug="push")
        assert [str(one.name) for one in some] == pushes


def build(number, **given):
    fields = {"name": name(), "archive": "blob", "forced": True, "created_at": "t"}
    return Build(id=f"b-{number}", **{**fields, "status": BuildStatus.IN_PROGRESS, **given})


def test_state_build_changes_its_status(state):
    done = replace(build(1), status=BuildStatus.SUCCEEDED, finished_at="u", digest="sha256:aa")
    for one in (build(2), build(1), build(3), done):
        state.write(lambda transaction, one=one: transaction.artifacts.put_build(one))
    with state.read() as view:
        assert view.artifacts.build("b-1") == done
        assert view.artifacts.build("none") is None
        assert list(view.artifacts.unfinished_builds()) == [build(2), build(3)]


def test_state_build_log_is_read_on_from_a_number(state):
    lines = [("t1", "one"), ("t2", "two\ud800\0"), ("t3", "three")]
    for part in (lines[:2], [], lines[2:]):
        state.write(lambda transaction, part=part: transaction.artifacts.log_build("b-1", part))
    state.write(lambda transaction: transaction.artifacts.log_build("b-2", [("t", "other")]))
    with state.read() as view:
        found = list(view.artifacts.build_log("b-1"))
        assert [text for _, _, text in found] == ["one", "two\\ud800\\x00", "three"]
        assert list(view.artifacts.build_log("b-1", after=found[1][0])) == found[2:]
        assert list(view.artifacts.build_log("none")) == []


def test_state_values_are_set_replaced_and_removed(state):
    def act(transaction):
        for value in (1, {"a": [None, 1.5, "ü"]}):
            transaction.values.set("space", "name", value=value)
        transaction.values.set("space", "also", value=False)
        transaction.values.set("other", "name", value="x")
        transaction.values.set("other", "name", value=None)
        transaction.values.set("other", "never", value=None)

    state.write(act)
    with state.read() as view:
        assert view.values.get("space", "name") == {"a": [None, 1.5, "ü"]}
        assert view.values.all("space") == {"also": False, "name": {"a": [None, 1.5, "ü"]}}
        assert view.values.get("other", "name") is None
        assert view.values.all("other") == {}


def test_state_intake_takes_each_key_once(state):
    keys = [f"path-{number}" for number in range(1200)]
    taken = [state.write(lambda t, key=key: t.intake.take(key, file_id="f")) for key in keys[::300]]
    assert taken == [True] * 4
    assert state.write(lambda transaction: transaction.intake.take(keys[0], file_id="g")) is False
    assert read(state, lambda view: view.intake.taken(keys)) == set(keys[::300])
    assert read(state, lambda view: view.intake.taken([])) == frozenset()
