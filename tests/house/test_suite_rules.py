"""The suite's own rules, run on suites made for the purpose."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
PARALLEL = Path(__file__).parents[1] / "support" / "parallel.py"

SKIPPED_KAGGLE_TEST = """
    import pytest

    @pytest.mark.kaggle
    def test_push():
        pytest.skip("no client")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with our conftest and our markers, and no test yet."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini("[pytest]\nmarkers =\n  kaggle\n  docker\n")
    return pytester


@pytest.mark.parametrize(
    ("required", "outcome"),
    [
        pytest.param("", {"skipped": 1}, id="nothing required"),
        pytest.param("docker", {"skipped": 1}, id="another marker"),
        pytest.param("docker, kaggle", {"failed": 1}, id="this marker"),
    ],
)
def test_require_skipped_test_fails_only_when_named(suite, monkeypatch, required, outcome):
    monkeypatch.setenv("STEPLINE_REQUIRE", required)
    suite.makepyfile(SKIPPED_KAGGLE_TEST)
    suite.runpytest().assert_outcomes(**outcome)


def test_require_failure_keeps_the_reason_of_the_skip(suite, monkeypatch):
    monkeypatch.setenv("STEPLINE_REQUIRE", "kaggle")
    suite.makepyfile(SKIPPED_KAGGLE_TEST)
    suite.runpytest().stdout.fnmatch_lines("*must not be skipped (STEPLINE_REQUIRE=kaggle)*client*")


def test_require_skip_in_setup_fails(suite, monkeypatch):
    monkeypatch.setenv("STEPLINE_REQUIRE", "kaggle")
    suite.makepyfile("""
        import pytest

        @pytest.fixture
        def client():
            pytest.skip("no client")

        @pytest.mark.kaggle
        def test_push(client):
            pass
    """)
    suite.runpytest().assert_outcomes(errors=1)


def test_require_expected_failure_stays_expected(suite, monkeypatch):
    monkeypatch.setenv("STEPLINE_REQUIRE", "kaggle")
    suite.makepyfile("""
        import pytest

        @pytest.mark.kaggle
        @pytest.mark.xfail(reason="known")
        def test_push():
            assert False
    """)
    suite.runpytest().assert_outcomes(xfailed=1)


def test_require_skipped_module_fails(suite, monkeypatch):
    monkeypatch.setenv("STEPLINE_REQUIRE", "kaggle")
    suite.makepyfile('import pytest\npytest.skip("no client", allow_module_level=True)')
    suite.runpytest().assert_outcomes(errors=1)


def test_require_unknown_marker_is_refused(suite, monkeypatch):
    monkeypatch.setenv("STEPLINE_REQUIRE", "kagle")
    assert suite.runpytest().ret == pytest.ExitCode.USAGE_ERROR


def test_summary_counts_each_part_of_the_suite(suite, monkeypatch):
    monkeypatch.delenv("STEPLINE_REQUIRE", raising=False)
    suite.mkdir("tests").joinpath("unit").mkdir()
    test = "import pytest\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test_a(n):\n    pass\n"
    suite.path.joinpath("tests", "unit", "test_a.py").write_text(test)
    suite.runpytest().stdout.fnmatch_lines("unit: 2 tests in *.* s")


def test_summary_names_the_pythons_that_tests_ran_on(suite, monkeypatch):
    monkeypatch.delenv("STEPLINE_REQUIRE", raising=False)
    suite.makepyfile("""
        import pytest

        @pytest.mark.parametrize("version", ["3.7", "3.9", "3.7"])
        def test_a(version, record_property):
            record_property("python", version)
    """)
    suite.runpytest().stdout.fnmatch_lines("other Pythons: 3.7, 3.9")


@pytest.mark.parametrize(
    ("mark", "processes"),
    [
        pytest.param("", 2, id="files of their own"),
        pytest.param("pytestmark = pytest.mark.docker", 1, id="engine"),
    ],
)
def test_parallel_files_share_a_process_where_they_need_the_engine(pytester, mark, processes):
    pytester.makeconftest(PARALLEL.read_text())
    pytester.makeini("[pytest]\nmarkers =\n  docker\n")
    text = f"import pytest\n{mark}\n\ndef test_it():\n    pass\n"
    pytester.makepyfile(test_a=text, test_b=text)
    done = pytester.runpytest_subprocess("-v", "-n", "2", "--dist", "loadfile", "-pno:stepline")
    done.assert_outcomes(passed=2)
    found = {line.split()[0] for line in done.outlines if " PASSED " in line}
    assert len(found) == processes, done.outlines


def test_parallel_processes_share_a_folder(pytester):
    pytester.makeconftest(PARALLEL.read_text())
    text = "def test_it(shared_folder):\n    print('at', shared_folder)\n"
    pytester.makepyfile(test_a=text, test_b=text)
    words = ("-n", "2", "--dist", "loadfile", "-rP", "-pno:stepline")
    done = pytester.runpytest_subprocess(*words)
    done.assert_outcomes(passed=2)
    assert len({line for line in done.outlines if line.startswith("at ")}) == 1
