"""The suite's own rules, run on suites made for the purpose."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

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
