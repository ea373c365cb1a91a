"""``stepline base`` on a folder of images with bases in it."""

import json
import sys

import pytest

from stepline.cli import main
from tests.support.images import put_base


@pytest.fixture
def base(monkeypatch, capsys, tmp_path):
    """Runs ``stepline base``; returns its exit code, standard output and standard error."""
    monkeypatch.setenv("STEPLINE_IMAGES_DIR", str(tmp_path))
    monkeypatch.setenv("STEPLINE_CACHE_DIR", str(tmp_path / "cache"))

    def base(*words):
        monkeypatch.setattr(sys, "argv", ["stepline", "base", *words])
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return base


def test_base_list_without_one_says_how_to_make_one(base):
    assert base("list") == (0, "", "no base images; `stepline base build` makes one\n")


def test_base_list_tells_what_each_is(base, tmp_path):
    made = put_base(tmp_path)
    code, out, _ = base("list")
    assert code == 0
    assert out.split() == [
        made.image.id[7:19],
        "python3.11",
        "slim",
        *"10.0 KiB 2030-01-01 00:00 debian:test".split(),
    ]


def test_base_list_json_is_for_programs(base, tmp_path):
    made = put_base(tmp_path)
    [listed] = json.loads(base("list", "--json")[1])["bases"]
    assert listed == {
        "id": made.image.id,
        "runtime": "python3.11",
        "variant": "slim",
        "size": made.image.size,
        "madeAt": made.made_at,
        "source": "debian:test",
        "layers": [made.image.layers[0].digest],
    }


def test_base_remove_tells_what_is_free(base, tmp_path):
    made = put_base(tmp_path)
    assert base("remove", made.image.id) == (0, "removed; 10.0 KiB freed\n", "")
    assert base("list")[1] == ""


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("build", "sarge"), "no base can be made of the suite 'sarge'"),
        (("remove", "abc"), "no base images have an id that starts with abc"),
    ],
    ids=["build", "remove"],
)
def test_base_wrong_word_is_refused_with_a_hint(base, words, what):
    code, _, err = base(*words)
    assert (code, err.splitlines()[0]) == (2, f"error: {what}")
    assert err.splitlines()[1].startswith("  hint: ")
