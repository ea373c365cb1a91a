"""Upkeep over HTTP: lines while the work goes on, refusals of their own, and clients that leave."""

import json
import os
import threading
import time

import pytest

from stepline.server import upkeep_routes
from tests.support.serving import ANSWER_S, error_of, serving

NOW = "2100-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        yield made


@pytest.fixture
def stuck(api, monkeypatch):
    """A store whose reading of bytes waits until it is let go."""
    begun, go_on = threading.Event(), threading.Event()

    def verify(name):
        begun.set()
        assert go_on.wait(ANSWER_S)
        return True

    monkeypatch.setattr(api.running.service.store, "verify", verify)
    yield begun, go_on
    go_on.set()


def lines_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [line for line in map(json.loads, answer.text.splitlines()) if line]


def test_verify_answers_with_problems_and_a_last_line(api):
    good, bad = api.upload("good.txt", b"good"), api.upload("bad.txt", b"bad")
    store = api.running.service.store
    os.unlink(store.local_path(f"sha256:{bad['sha256']}"))
    ids = [good["fileId"], bad["fileId"]]
    problem, last = lines_of(api.post("/v1/upkeep/verify", json={"fileIds": ids}))
    assert (problem["problem"], problem["filesTotal"]) == ("missing", 1)
    assert [each["fileId"] for each in problem["files"]] == [bad["fileId"]]
    assert last == {"done": True, "checked": 2, "problems": 1}


def test_clean_answers_with_a_line_for_each_kind(api):
    body = {"before": "2000-01-01T00:00:00", "dryRun": True}
    *kinds, last = lines_of(api.post("/v1/upkeep/clean", json=body))
    assert [each["kind"] for each in kinds] == ["uploads", "logs", "environments", "code", "blobs"]
    assert all(set(each) == {"kind", "count", "bytes"} for each in kinds)
    assert last == {"done": True}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("verify", {"fileIds": ["none"]}, 404, "no file with the id 'none'"),
        ("verify", {"fileIds": "none"}, 400, "fileIds"),
        ("clean", {"before": "soon"}, 422, "'soon' is no time"),
        ("clean", {}, 400, "before"),
        ("clean", {"before": NOW, "force": True}, 400, "'force' is not known"),
    ],
)
def test_upkeep_that_cannot_be_is_refused(api, path, body, status, said):
    answer = api.post(f"/v1/upkeep/{path}", json=body)
    assert answer.status_code == status
    assert said in error_of(answer)


def test_upkeep_without_the_token_is_refused(api):
    for path in ("verify", "clean"):
        answer = api.post(f"/v1/upkeep/{path}", json={}, headers={"ts-auth-token": "wrong"})
        assert answer.status_code == 401


def test_second_clean_at_once_is_refused(api):
    cleaning = api.running.service.cleaning.clean(before=0.0)
    next(cleaning)
    answer = api.post("/v1/upkeep/clean", json={"before": NOW})
    assert (answer.status_code, "under way" in error_of(answer)) == (422, True)
    cleaning.close()
    assert api.post("/v1/upkeep/clean", json={"before": NOW, "dryRun": True}).status_code == 200


def test_verify_that_takes_long_gives_signs_of_life(api, stuck, monkeypatch):
    monkeypatch.setattr(upkeep_routes, "_BEAT_S", 0.05)
    api.upload("a.txt", b"a")
    begun, go_on = stuck
    with api.stream("POST", "/v1/upkeep/verify", json={}) as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(4)] == ["{}"] * 4
        assert begun.is_set()
        go_on.set()
        assert json.loads([*lines][-1])["done"]


def test_verify_ends_soon_after_its_client_left(api, stuck, monkeypatch):
    monkeypatch.setattr(upkeep_routes, "_TOLD_S", 0.0)
    for number in range(3):
        api.upload(f"left-{number}.txt", b"left %d" % number)
    begun, go_on = stuck
    with api.stream("POST", "/v1/upkeep/verify", json={}) as answer:
        next(answer.iter_lines())
        assert begun.wait(ANSWER_S)
    seen = []
    store = api.running.service.store
    time.sleep(0.5)  # until the service has noticed
    monkeypatch.setattr(store, "verify", lambda name: seen.append(name) or True)
    go_on.set()
    time.sleep(0.5)
    assert seen == []


def test_clean_whose_client_left_lets_the_next_one_begin(api, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    logs = api.running.service.cleaning._ports.logs

    def workflows():
        begun.set()
        assert go_on.wait(ANSWER_S)
        return iter(())

    with monkeypatch.context() as patched:
        patched.setattr(logs, "workflows", workflows)
        with api.stream("POST", "/v1/upkeep/clean", json={"before": NOW}) as answer:
            next(answer.iter_lines())
            assert begun.wait(ANSWER_S)
        go_on.set()
    end = time.monotonic() + ANSWER_S
    body = {"before": "2000-01-01T00:00:00Z", "dryRun": True}
    while api.post("/v1/upkeep/clean", json=body).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)
