"""What requirements.txt says about an environment, and which line is to blame."""

import pytest

from stepline.errors import Location
from stepline.packages.requirements import depend_on_folder, line_at_fault


@pytest.mark.parametrize(
    "requirements",
    [
        "",
        "numpy\npandas>=2,<3\n",
        "# file:dependencies/x.whl\n",
        "numpy  # see ./README.md\n",
        "--index-url https://example.org/simple/\nnumpy==1.26.4 --hash=sha256:abc\n",
        "-i https://example.org/simple\n--pre\n--only-binary :all:\n",
        "thing @ https://example.org/thing-1.0-py3-none-any.whl\n",
        "git+https://example.org/thing.git@v1\n",
    ],
)
def test_requirements_of_the_index_do_not_depend_on_the_folder(requirements):
    assert not depend_on_folder(requirements)


@pytest.mark.parametrize(
    "line",
    [
        "file:dependencies/x-1.0-py3-none-any.whl",
        "x @ file:dependencies/x-1.0-py3-none-any.whl",
        "file:///srv/wheels/x.whl",
        "dependencies/x-1.0-py3-none-any.whl",
        "x-1.0-py3-none-any.whl ; python_version > '3.8'",
        "./x",
        "../x",
        "packages/x",
        "x.tar.gz",
        "--find-links dependencies",
        "--find-links=dependencies",
        "-f dependencies",
        "-r other.txt",
        "--requirement other.txt",
        "-c constraints.txt",
        "-e .",
        "  --editable ./x",
    ],
)
def test_requirements_with_files_depend_on_the_folder(line):
    assert depend_on_folder(f"numpy\n{line}\npandas\n")


REQUIREMENTS = """# for plates
numpy==1.26.4

Plate_Reader>=99  # internal
./dependencies/x.whl
pandas
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("Because plate-reader was not found in the package registry ...", 4),
        ("Because only pandas<=3 is available and you require pandas", 6),
        ("Distribution not found at: ./dependencies/x.whl", 5),
        ("you require numpy==1.26.4 and pandas", 2),
        ("numpyx and xpandas are at fault", None),
        ("", None),
    ],
)
def test_line_at_fault_is_the_one_that_the_resolver_names(output, line):
    where = line_at_fault(REQUIREMENTS, output)
    assert where == Location("requirements.txt", line, None if line is None else 1)
