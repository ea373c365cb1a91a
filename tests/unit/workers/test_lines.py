import pytest

from stepline.workers.lines import LONGEST_LINE, Lines


def cut(*parts):
    lines = Lines()
    found = [line for part in parts for line in lines.feed(part)]
    return [*found, *lines.end()]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([b"a\nb", b"c\r\n", b"\nend"], ["a", "bc", "", "end"]),
        (["ä€".encode()[:3], "ä€".encode()[3:] + b"\n"], ["ä€"]),
        ([b"\xff\n"], ["\ufffd"]),
        ([], []),
    ],
    ids=["parts of lines", "parts of a character", "no text", "nothing"],
)
def test_lines_are_whole_wherever_their_bytes_are_parted(parts, expected):
    assert cut(*parts) == expected


@pytest.mark.parametrize("size", [1, LONGEST_LINE, 2 * LONGEST_LINE + 5])
def test_lines_longer_than_the_longest_come_in_pieces_that_tell_of_it(size):
    line = "x" * size
    found = cut(*([line.encode()[at : at + 1000] for at in range(0, size, 1000)]), b"\nnext\n")
    assert "".join(found[:-1]) == line
    assert [len(piece) for piece in found[:-2]] == [LONGEST_LINE] * (size // LONGEST_LINE)
    assert len(found[-2]) < LONGEST_LINE
    assert found[-1] == "next"
