"""The same project under each executor gives the same bytes."""

import shutil
from pathlib import Path

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn

EXAMPLE = Path(__file__).parents[2] / "examples" / "push-to-kaggle"
PASSED_ON = ("STEPLINE_IMAGES_DIR", "DOCKER_HOST")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".stepline", "results")
KEY = "0123456789abcdef0123456789abcdef"


def push(project, kaggle, executor):
    """Run the example on its first file; return its files and what the service received.

    The receipt is left out: it has the time in it.
    """
    words = ["run", "protocols/v3-push", "--input", "data/run42.json"]
    words += ["--task-scripts", "task-scripts", "--config", "kaggle_username=me"]
    words += ["--secret", "kaggle_api_key=env:KAGGLE_KEY", "--executor", executor]
    words += ["--network", "host"]
    words += ["--out", f"results/{executor}"]
    given = [word for name, value in kaggle.env.items() for word in ("--env", f"{name}={value}")]
    done = project.stepline(*words, *given, KAGGLE_KEY=KEY)
    assert done.returncode == 0, done.stderr
    folder = project.folder / "results" / executor
    assert project.record(f"results/{executor}")["executor"]["name"] == executor
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for kind in ("IDS", "PROCESSED")
        for path in sorted((folder / kind).rglob("*"))
        if path.is_file() and not path.name.endswith("-receipt.json")
    }
    (dataset,) = kaggle.datasets.values()
    return files, [kaggle.blob(file.sha256) for file in dataset.versions[-1].files]


@pytest.mark.kaggle
@pytest.mark.debian
@pytest.mark.parametrize(
    "executor",
    [
        pytest.param("sandbox", marks=pytest.mark.sandbox),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def test_push_to_kaggle_gives_the_same_bytes_as_in_a_process(
    project, slim_base, images_environ, executor, request
):
    shutil.copytree(EXAMPLE, project.folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    if executor == "docker":
        request.getfixturevalue("engine")
    project.environ.update({k: images_environ[k] for k in PASSED_ON if k in images_environ})
    with KaggleStandIn(accounts={"me": KEY}) as kaggle:
        plain = push(project, kaggle, "process")
    with KaggleStandIn(accounts={"me": KEY}) as kaggle:
        other = push(project, kaggle, executor)
    assert other == plain
    assert len(plain[0]) >= 2
    assert plain[1]
