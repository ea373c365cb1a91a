"""Commands of builds: none goes on for ever."""

import time

import pytest

from stepline.packages.uv import CommandFailed, run_command


def test_command_that_does_not_end_is_killed_and_says_so(tmp_path):
    begun = time.monotonic()
    command = ["sh", "-c", "echo waiting; sleep 600"]
    with pytest.raises(CommandFailed, match=r"did not end in 0\.3 s") as caught:
        run_command(command, cwd=tmp_path, environ={"PATH": "/usr/bin:/bin"}, limit_s=0.3)
    assert time.monotonic() - begun < 30
    assert (caught.value.code, caught.value.output.splitlines()[0]) == (137, "waiting")
