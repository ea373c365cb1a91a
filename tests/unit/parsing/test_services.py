"""services.yml, which names what tests need beside them."""

import pytest

from stepline.model.image import ServiceSpec
from stepline.parsing.services import parse_services

FULL = """
database:
  image: registry.example/postgres:15
  env: {POSTGRES_PASSWORD: secret}
  command: [postgres, -c, fsync=off]
  user: postgres
  health: pg_isready -U postgres
  volumes: [/var/lib/postgresql/data]
  startWithinSec: 30
"""


def parse(text):
    return parse_services(text, path="services.yml")


def test_parse_services_full_gives_the_model():
    assert parse(FULL).unwrap() == (
        ServiceSpec(
            name="database",
            image="registry.example/postgres:15",
            environ={"POSTGRES_PASSWORD": "secret"},
            command=("postgres", "-c", "fsync=off"),
            user="postgres",
            health=("sh", "-c", "pg_isready -U postgres"),
            volumes=("/var/lib/postgresql/data",),
            start_within_s=30,
        ),
    )


FAULTS = {
    "no health": ("a: {image: 'b:1'}", "missing-key", (1, 4)),
    "no tag": ("a: {image: b, health: x}", "unpinned-reference", (1, 12)),
    "unknown key": ("a: {image: 'b:1', health: x, port: 1}", "unknown-key", (1, 30)),
    "name": ("A_B: {image: 'b:1', health: x}", "invalid-name", (1, 1)),
    "variable": ("a: {image: 'b:1', health: x, env: {a-b: c}}", "invalid-name", (1, 36)),
    "number": ("a: {image: 'b:1', health: x, env: {B: 1}}", "wrong-type", (1, 39)),
    "volume": ("a: {image: 'b:1', health: x, volumes: [data]}", "invalid-path", (1, 40)),
    "no command": ("a: {image: 'b:1', health: []}", "empty-list", (1, 27)),
    "too long": ("a: {image: 'b:1', health: x, startWithinSec: 601}", "out-of-range", (1, 46)),
    "list": ("- a", "not-a-mapping", (1, 1)),
}


@pytest.mark.parametrize(("text", "code", "place"), FAULTS.values(), ids=FAULTS)
def test_parse_services_fault_has_its_code_and_place(text, code, place):
    (problem,) = parse(text).problems
    assert (problem.code, (problem.where.line, problem.where.column)) == (code, place)
