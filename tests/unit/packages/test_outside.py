"""Requirements name packages of an index, or what lies in the task script's own folder."""

import pytest

from stepline.errors import ConfigError
from stepline.packages.outside import refuse_outside


@pytest.fixture
def folder(tmp_path):
    """A task script's folder, beside files of the machine."""
    folder = tmp_path / "script"
    folder.joinpath("dependencies", "more").mkdir(parents=True)
    for name in ("script/other.txt", "script/dependencies/x.whl", "host.txt", "x.whl"):
        (tmp_path / name).write_text("")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "numpy==1.26.4 --hash=sha256:abc",
        "-r other.txt",
        "-c 'other.txt'",
        "--requirement=other.txt",
        "--find-links dependencies",
        "-i https://example.org/simple",
        "--extra-index-url ${PRIVATE_INDEX}",
        "-f ${WHEELS}",
        "./dependencies/x.whl[extra] ; python_version > '3.8'",
        "file:dependencies/x.whl",
        "x @ file:${PROJECT_ROOT}/dependencies/x.whl",
        "x @ https://example.org/x-1.0-py3-none-any.whl",
        "git+https://example.org/thing.git@v1",
        "# -r ../host.txt",
        "dependencies/missing.whl",
        "-e .",
    ],
)
def test_requirements_of_the_folder_and_of_indexes_are_let_pass(folder, line):
    folder.joinpath("requirements.txt").write_text(f"{line}\n")
    refuse_outside(folder)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("-r ../host.txt", 4),
        ("-r/etc/passwd", 3),
        ("--requirement=/etc/passwd", 15),
        ("-c '/etc/passwd'", 4),
        ("  -r \\\n  /etc/passwd", 3),
        ("-r file:///etc/passwd", 4),
        ("-r ${HOME}/.netrc", 4),
        ("--find-links ..", 14),
        ("--find-links=file:///srv", 14),
        ("-i file:///srv/simple", 4),
        ("-e ../lib", 4),
        ("../x.whl", 1),
        ("/srv/x.whl[extra] ; python_version > '3.8'", 1),
        ("FILE:///srv/x.whl", 1),
        ("file:../x.whl", 1),
        ("file:%2e%2e/x.whl", 1),
        ("x @ file:///srv/x.whl", 5),
        ("x@file://localhost/srv/x.whl", 3),
        ("x[a] @ ../x.whl", 8),
        ("x @ ${ELSEWHERE}", 5),
        ("git+file:///srv/repo", 1),
    ],
)
def test_requirements_outside_of_the_folder_are_refused(folder, line, column):
    folder.joinpath("requirements.txt").write_text(f"numpy\n{line}\n")
    with pytest.raises(ConfigError, match="not in the task script's folder") as caught:
        refuse_outside(folder)
    place = caught.value.where
    assert place is not None
    assert (place.path, place.line) == ("requirements.txt", 3 if "\n" in line else 2)
    assert place.column == column
    assert "copy it there" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "link", "target"),
    [
        ("-r link.txt", "link.txt", "host.txt"),
        ("-r link.txt#x", "link.txt", "host.txt"),
        ("./dependencies/y.whl", "dependencies/y.whl", "x.whl"),
        ("-f dependencies", "dependencies/y.whl", "x.whl"),
        ("-f all", "all", "."),
    ],
)
def test_requirements_outside_by_a_link_are_refused(folder, line, link, target):
    folder.joinpath(link).symlink_to(folder.parent / target)
    folder.joinpath("requirements.txt").write_text(line)
    with pytest.raises(ConfigError, match="not in the task script's folder"):
        refuse_outside(folder)


def test_requirements_that_are_a_link_out_of_the_folder_are_refused(folder):
    folder.joinpath("requirements.txt").symlink_to(folder.parent / "host.txt")
    with pytest.raises(ConfigError, match=r"not in the task script's folder"):
        refuse_outside(folder)


def test_requirements_included_are_looked_at_in_their_own_place(folder):
    folder.joinpath("requirements.txt").write_text("-r dependencies/a.txt\n")
    folder.joinpath("dependencies", "a.txt").write_text("-r more/b.txt\n-c ../other.txt\n")
    folder.joinpath("dependencies", "more", "b.txt").write_text("\nx @ file:///srv/x.whl")
    with pytest.raises(ConfigError) as caught:
        refuse_outside(folder)
    assert str(caught.value.where) == "dependencies/more/b.txt:2:5"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_requirements_in_another_encoding_are_refused_too(folder, encoding):
    folder.joinpath("requirements.txt").write_text("-r /etc/passwd\n", encoding=encoding)
    with pytest.raises(ConfigError, match="not in the task script's folder"):
        refuse_outside(folder)


def test_requirements_included_from_another_machine_are_refused(folder):
    folder.joinpath("requirements.txt").write_text("-r https://u:key@example.org/r.txt\n")
    with pytest.raises(ConfigError, match="on another machine") as caught:
        refuse_outside(folder)
    assert "key" not in caught.value.what
    assert str(caught.value.where) == "requirements.txt:1:4"
