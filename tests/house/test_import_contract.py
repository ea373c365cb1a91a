"""The import contract of pyproject.toml, on sources that break it in one way each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

KEPT = {
    "stepline/errors.py": "",
    "stepline/model.py": "import stepline.errors",
    "stepline/plugins/__init__.py": "",
    "stepline/plugins/engine_docker.py": "import docker\nfrom stepline_sdk import wire",
    "stepline/plugins/executor_process.py": "import stepline.model",
    "stepline/plugins/aws/__init__.py": "from stepline.plugins.aws import s3",
    "stepline/plugins/aws/s3.py": "import boto3",
    "stepline/app.py": "import stepline.model",
    "stepline/testing/__init__.py": "from stepline_sdk import context",
    "stepline/cli/__init__.py": "import stepline.app, stepline.testing",
    "stepline_sdk/wire.py": "",
    "stepline_sdk/context.py": "from stepline_sdk import wire",
}


@pytest.fixture
def lint(tmp_path):
    """Check the imports of sources, given as text by path; returns what was printed."""

    def lint(sources):
        for name, text in {
            "stepline/__init__.py": "",
            "stepline_sdk/__init__.py": "",
            **sources,
        }.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
        config = ["--config", ROOT / "pyproject.toml"]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [*command, *config],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
        )
        return done.returncode, done.stdout

    return lint


def test_contract_sources_that_keep_it_pass(lint):
    code, printed = lint(KEPT)
    assert (code, "0 broken" in printed) == (0, True), printed


@pytest.mark.parametrize(
    ("path", "text", "broken"),
    [
        pytest.param("stepline/model.py", "import stepline.app", "one way", id="upwards"),
        pytest.param("stepline/app.py", "import stepline.plugins", "one way", id="sideways"),
        pytest.param("stepline/extra.py", "", "one way", id="no layer"),
        pytest.param(
            "stepline/plugins/executor_process.py",
            "import stepline.plugins.aws.s3",
            "know nothing of each other",
            id="plugin to plugin",
        ),
        pytest.param(
            "stepline_sdk/wire.py", "import stepline.errors", "nothing of the platform", id="sdk"
        ),
        pytest.param(
            "stepline/app.py", "import stepline_sdk.context", "only the sdk's wire", id="context"
        ),
        pytest.param(
            "stepline/cli/__init__.py", "import docker", "only in their plugin", id="docker"
        ),
        pytest.param("stepline/plugins/secrets.py", "import boto3", "only in their", id="boto3"),
    ],
)
def test_contract_broken_in_one_way_is_found(lint, path, text, broken):
    code, printed = lint({**KEPT, path: text})
    [line] = [line for line in printed.splitlines() if " BROKEN" in line]
    assert code == 1
    assert broken in line
