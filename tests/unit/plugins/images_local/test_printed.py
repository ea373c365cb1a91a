"""Lines of a build's steps: none is without bound, and no secret is shown in parts."""

import pytest

from stepline.plugins.images_local.build_settings import BuildSettings
from stepline.plugins.images_local.printed import Output, masked_lines
from stepline.workers.lines import LONGEST_LINE, Lines

SECRET = "s3cret-of-the-index"
SETTINGS = BuildSettings((), (SECRET,))


def shown(content):
    """Return what is told, and what is kept, of what a step prints."""
    told, lines = [], Lines()
    output = Output(lambda line: told.append(masked_lines(line, SETTINGS.masked)))
    for at in range(0, len(content), 5000):
        for line in lines.feed(content[at : at + 5000]):
            output.add(line)
    for line in lines.end():
        output.add(line)
    return told, masked_lines(output.text(), SETTINGS.masked)


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize("shift", [1, 9, 18, 100])
def test_secret_across_pieces_of_a_long_line_is_not_shown(pieces, shift):
    begin = "x" * (pieces * LONGEST_LINE - shift)
    told, kept = shown(f"{begin}{SECRET}{'y' * LONGEST_LINE}\nnext\n".encode())
    assert told[-1] == "next"
    assert "\n".join(told) == kept
    assert SECRET[:1] not in kept.replace("(the rest of a long line is left out)", "")


def test_long_line_is_whole_up_to_a_bound_and_says_what_is_left_out():
    told, _ = shown(b"x" * (LONGEST_LINE + 10) + b"\n" + b"y" * 10 * LONGEST_LINE + b"\nz")
    assert told[0] == "x" * (LONGEST_LINE + 10)
    assert told[1].startswith("y" * LONGEST_LINE)
    assert told[1].endswith("y … (the rest of a long line is left out)")
    assert len(told[1]) < 3 * LONGEST_LINE
    assert told[2:] == ["z"]


def test_bar_that_writes_over_itself_is_its_last_state():
    bar = b"".join(b"\r%d of 30000" % number for number in range(30_001))
    assert shown(b"fetching" + bar + b"\r\nend\n")[0] == ["30000 of 30000", "end"]


def test_output_kept_is_bounded_in_size():
    output = Output(lambda line: None)
    for _ in range(200):
        output.add("x" * (LONGEST_LINE - 1))
    output.add("end")
    assert len(output.text()) <= 4 * 1024 * 1024 + 100
    assert output.text().endswith("x\nend")
