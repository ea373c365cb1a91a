"""Tracebacks as workflow show prints them."""

import pytest

from stepline.cli.tracebacks import shortened

OWN = '  File "func/main.py", line 8, in work\n    helper()\n    ^^^^^^^^\n'
OTHER = '  File "/env/lib/site.py", line 4, in read\n    return _read()\n'
HEAD = "Traceback (most recent call last):\n"


def test_frames_elsewhere_are_counted_and_the_others_are_kept():
    assert shortened(HEAD + OTHER + OWN + OTHER + OTHER + "ValueError: bad\n") == [
        HEAD.strip(),
        "  … 1 frame elsewhere; see --full",
        *OWN.splitlines(),
        "  … 2 frames elsewhere; see --full",
        "ValueError: bad",
    ]


def test_frames_of_recursion_elsewhere_go_with_their_note():
    text = HEAD + OWN + OTHER + "  [Previous line repeated 970 more times]\nRecursionError: deep\n"
    assert shortened(text)[-2:] == ["  … 1 frame elsewhere; see --full", "RecursionError: deep"]


def test_causes_are_kept_without_their_foreign_frames():
    link = "The above exception was the direct cause of the following exception:"
    text = f"{HEAD}{OTHER}KeyError: 1\n\n{link}\n\n{HEAD}{OWN}ValueError: bad\n"
    lines = shortened(text)
    assert [line for line in lines if not line.startswith(" ")] == [
        HEAD.strip(),
        "KeyError: 1",
        "",
        link,
        "",
        HEAD.strip(),
        "ValueError: bad",
    ]


def test_groups_keep_their_own_frames():
    own = '    | File "func/main.py", line 8, in work\n    |   helper()\n'
    other = '    | File "/env/lib/site.py", line 4, in read\n    |   return 1\n'
    lines = shortened(f"  + Exception Group Traceback:\n{other}{own}    | ValueError: bad\n")
    assert [line.strip(" |") for line in lines] == [
        "+ Exception Group Traceback:",
        "… 1 frame elsewhere; see --full",
        'File "func/main.py", line 8, in work',
        "helper()",
        "ValueError: bad",
    ]


def test_of_many_frames_the_last_are_kept_and_of_a_long_message_the_beginning():
    reasons = "".join(f"reason {number}\n" for number in range(100))
    lines = shortened(HEAD + OWN * 100 + "ValueError: bad\n" + reasons)
    assert lines[0] == "… 271 lines before; see --full"
    assert lines[31:33] == ["ValueError: bad", "reason 0"]
    assert lines[-1] == "… 91 lines more; see --full"
    assert len(lines) == 42


def test_indented_message_takes_no_frames_with_it():
    message = "ValueError: bad\n" + "  detail\n" * 100
    lines = shortened(HEAD + OWN + message)
    assert lines[:5] == [HEAD.strip(), *OWN.splitlines(), "ValueError: bad"]
    assert lines[-1] == "… 91 lines more; see --full"


def test_long_line_is_cut():
    assert shortened("ValueError: " + "x" * 10_000) == ["ValueError: " + "x" * 488 + "…"]


@pytest.mark.parametrize("text", ["", "\n", " ", "|", 'File "', '  File "func/', "a\r\nb"])
def test_odd_text_is_no_fault(text):
    assert len(shortened(text)) <= 2
