"""How blocks of documents are found and run: what fails must fail."""

import re
import signal
import sys
import textwrap

import pytest

from tests.docs import blocks
from tests.docs.blocks import Block, BlockError, blocks_of, commands_of, is_like


@pytest.fixture
def follow(tmp_path, reader):
    """Follow a document, given as text where ~~~ stands for a fence."""

    def follow(text):
        path = tmp_path / "page.md"
        path.write_text(textwrap.dedent(text).replace("~~~", "```"))
        for block in blocks_of(path):
            reader.follow(block)

    return follow


def fails(text):
    """Expect a block error with this text in it."""
    return pytest.raises(BlockError, match=re.escape(text))


def test_blocks_of_finds_language_line_text_and_directive(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n<!-- file: a/b.yml -->\n\n```yaml\na: 1\n```\n\n- x\n\n  ```\n  b\n  ```\n"
    )
    assert blocks_of(page) == [
        Block(page, 5, "yaml", "a: 1\n", "file", "a/b.yml"),
        Block(page, 11, "", "b\n"),
    ]


def test_commands_of_splits_commands_from_their_output(tmp_path):
    text = "$ one a \\\n> b\n$ two\nfirst\n\nsecond\n$ make test X=1\n"
    one, two, make = commands_of(Block(tmp_path, 1, "console", text))
    assert (one.line, one.expected) == ("one a \\\nb", "")
    assert (two.line, two.expected) == ("two", "first\n\nsecond\n")
    assert (make.target, one.target) == ("test X=1", None)


@pytest.mark.parametrize(
    ("output", "expected", "alike"),
    [
        pytest.param("a\nb\n", "a\nb", True, id="same"),
        pytest.param("a  \nb\n\n", "a\nb", True, id="space at ends"),
        pytest.param("a\nb\n", "a", False, id="more printed"),
        pytest.param("a\n", "a\nb", False, id="less printed"),
        pytest.param("took 3.1 s (ok)\n", "took ... s (ok)", True, id="within a line"),
        pytest.param("took 3.1\n s\n", "took ... s", False, id="not over lines"),
        pytest.param("a\nb\nc\nd\n", "a\n...\nd", True, id="lines"),
        pytest.param("a\nd\n", "a\n...\nd", True, id="no lines"),
        pytest.param("a.b\n", "a+b", False, id="no regular expression"),
    ],
)
def test_is_like_compares_loosely(output, expected, alike):
    assert is_like(output, expected) is alike


def test_console_folder_and_variables_carry_over(follow):
    follow("""
        ~~~console
        $ mkdir made && cd made
        $ export NAME='two words'
        ~~~

        ~~~console
        $ echo "$NAME in ${PWD##*/}"
        two words in made
        ~~~
    """)


def test_console_finds_the_command_line_and_an_empty_home(follow):
    follow(f"""
        ~~~console
        $ command -v python && ls -A ~
        {sys.executable.rpartition("/")[0]}/python
        ~~~
    """)


def test_console_failing_command_fails(follow):
    with fails("page.md:2: `false` ended with 1"):
        follow("\n~~~console\n$ false\n$ true\n~~~\n")


def test_console_other_output_fails(follow):
    with fails("printed:\nb\ninstead of:\na\n"):
        follow("~~~console\n$ echo b\na\n~~~\n")


def test_console_announced_exit_code_of_the_last_command_passes(follow):
    follow("<!-- exit: 2 -->\n~~~console\n$ true\n$ (exit 2)\n~~~\n")


def test_console_announced_exit_code_that_does_not_come_fails(follow):
    with fails("instead of ending with 2"):
        follow("<!-- exit: 2 -->\n~~~console\n$ true\n~~~\n")


def test_console_endless_command_is_ended(follow, monkeypatch):
    monkeypatch.setattr(blocks, "TIMEOUT_S", 0.5)
    with fails("no end after 0.5 s"):
        follow("~~~console\n$ sleep 60 | cat\n~~~\n")


def test_console_command_that_goes_on_is_stopped_at_the_end(follow, reader):
    follow("""
        ~~~console
        $ export WORD=ready
        $ sh -c 'sleep 0.2; echo $WORD; exec sleep 60' &
        ready
        $ echo next
        next
        ~~~
    """)
    (process,) = reader.started
    assert process.poll() is None
    reader.stop()
    assert process.returncode == -signal.SIGTERM
    reader.started.clear()


def test_console_command_that_does_not_go_on_fails(follow, reader):
    with fails("printed:\nno\ninstead of:\nready"):
        follow("~~~console\n$ echo no &\nready\n~~~\n")
    reader.started.clear()


def test_console_command_that_ended_before_the_end_fails(follow, reader):
    follow("~~~console\n$ echo ready &\nready\n~~~\n")
    reader.started[0].wait(10)
    with fails("ended by itself, with 0"):
        reader.stop()
    reader.started.clear()


def test_console_without_a_command_fails(follow):
    with fails("starts with `$ COMMAND`"):
        follow("~~~console\nstepline run\n~~~\n")


def test_console_make_is_left_to_its_own_test(follow):
    follow("~~~console\n$ make no-such-target\n~~~\n")


def test_python_names_carry_over(follow):
    follow("~~~python\nx = 1\n~~~\n~~~python\nassert x == 1\n~~~\n")


def test_python_failing_block_fails(follow):
    with fails("page.md:1: AssertionError: no"):
        follow("~~~python\nassert False, 'no'\n~~~\n")


def test_file_is_written_where_the_next_command_finds_it(follow):
    follow("""
        <!-- file: made/a.json -->
        ~~~json
        {"a": 1}
        ~~~

        ~~~console
        $ cat made/a.json
        {"a": 1}
        ~~~
    """)


def test_file_outside_fails(follow):
    with fails("../a.json is outside"):
        follow("<!-- file: ../a.json -->\n~~~json\n{}\n~~~\n")


def test_not_run_with_a_reason_is_left_out(follow):
    follow("<!-- not run: needs an account -->\n~~~console\n$ false\n~~~\n")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<!-- not run: -->\n~~~console\n$ false\n~~~\n", "say why"),
        ("~~~bash\nfalse\n~~~\n", "a block of 'bash' is never run"),
        ("~~~\nfalse\n~~~\n", "a block of 'no language' is never run"),
    ],
    ids=["no reason", "bash", "no language"],
)
def test_block_that_would_never_run_fails(follow, text, problem):
    with fails(problem):
        follow(text)
