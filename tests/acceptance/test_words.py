"""What a person reads at the end of a run."""

from __future__ import annotations


def call(project, main, *words, **extra):
    project.task_script("s", main, ["f"], **extra)
    return project.stepline("call", "task-scripts/s", "f", *words)


def test_output_is_shown_as_it_is_and_cut_where_it_is_long(project):
    result = call(project, "def f(i, c): return {'word': 'Grüße', 'long': 'x' * 5000}\n")
    assert '{"word": "Grüße", "long": "xxx' in result.stdout
    assert "5029 characters; workflow.json has all of it" in result.stdout


def test_out_of_memory_is_said_in_words(project):
    main = "def f(i, c):\n    x = []\n    while True: x.append(bytearray(10**7))\n"
    result = call(project, main, memoryInMB=64)
    assert result.returncode == 1
    assert "failed: the task needs more memory than its 64 MiB" in result.stderr


def test_call_expression_that_means_nothing_is_refused(project):
    result = call(project, "def f(i, c): return i\n", "--input", '{"s": "$( config.nope )"}')
    assert result.returncode == 2
    assert "nope" in result.stderr


def test_output_in_a_narrow_encoding_does_not_end_the_run(project):
    project.environ["PYTHONIOENCODING"] = "ascii"
    result = call(project, "def f(i, c):\n    print('Grüße')\n    return 1\n")
    assert result.returncode == 0, result.stderr
    assert "Gr\\xfc\\xdfe" in result.stdout


def test_time_out_beyond_all_clocks_is_no_fault(project):
    project.task_script("s", "def f(i, c): return 1\n", ["f"])
    step = {"id": "a", "function": "s/f", "options": {"timeoutInSec": 1e300}}
    project.protocol("p", [step])
    project.write("in.json", "{}")
    result = project.stepline("run", "protocols/p", "--input", "in.json")
    assert result.returncode == 0, result.stderr


def test_init_in_a_folder_whose_name_is_a_number_makes_a_valid_project(project):
    assert project.stepline("init", "123").returncode == 0
    result = project.stepline("validate", "123")
    assert result.returncode == 0, result.stdout
