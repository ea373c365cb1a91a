"""The function `harmonize` of `common/harmonize-csv`: its input, its file, its faults."""

import pytest

TABLE = b"Time;Temp\n2025-03-04 10:00:00;25,5\n2025-03-04 10:05:00;-\n"
COLUMNS = {
    "time": {"from": "Time", "type": "time", "time_zone": "Europe/Berlin"},
    "temp_K": {"from": "Temp", "type": "number", "unit": "degC", "to_unit": "K"},
}


@pytest.fixture
def harmonize(run_function, files):
    def harmonize(content=TABLE, **given):
        file = files.add("run7.csv", content=content)
        words = {"file": file, "columns": COLUMNS, "decimal": ",", **given}
        return run_function("harmonize", words, task_script="harmonize-csv")

    return harmonize


def test_harmonize_writes_a_labelled_table_and_says_what_is_in_it(harmonize, files):
    output = harmonize(constants={"site": "north", "bench": 3, "dark": False})

    file = files.written["run7-harmonized.csv"]
    assert file.text == (
        "time,temp_K,site,bench,dark\n"
        "2025-03-04T09:00:00Z,298.65,north,3,false\n"
        "2025-03-04T09:05:00Z,,north,3,false\n"
    )
    assert ("stage", "harmonized") in file.labels
    assert output["file"]["fileId"] == file.pointer["fileId"]
    assert (output["rows"], output["missing"], output["bad_values"]) == (2, {"temp_K": 1}, {})
    assert output["columns"][1] == {"name": "temp_K", "type": "number", "unit": "K"}


def test_harmonize_bad_values_may_count_as_missing(harmonize, files, capsys):
    output = harmonize(TABLE.replace(b"25,5", b"OVER"), bad_values="missing", file_name="x.csv")

    assert output["bad_values"] == {"temp_K": 1}
    assert "2025-03-04T09:00:00Z,\n" in files.written["x.csv"].text
    assert "line 2, column 'Temp': 'OVER' is no number" in capsys.readouterr().out


def test_harmonize_fault_names_the_file_and_writes_nothing(harmonize, files):
    with pytest.raises(ValueError, match="no number") as caught:
        harmonize(TABLE.replace(b"25,5", b"OVER"))
    assert str(caught.value) == "run7.csv: line 2, column 'Temp': 'OVER' is no number"
    assert list(files.written) == []


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("Zeit;\u00b5\n1;2\n".encode("cp1252"), "cp1252"),
        ("Zeit;\u00b5\n1;2\n".encode("utf-16"), None),
        ("\ufeffZeit;\u00b5\r\n1;2\r\n".encode(), "cp1252"),
    ],
    ids=["given", "utf-16", "mark"],
)
def test_harmonize_reads_what_instruments_write(harmonize, files, content, encoding):
    harmonize(content, columns={"t": "Zeit", "x": "\u00b5"}, encoding=encoding)
    assert files.written["run7-harmonized.csv"].text == "t,x\n1,2\n"


def test_harmonize_text_in_another_encoding_is_a_fault(harmonize):
    with pytest.raises(ValueError, match=r"run7\.csv: 'utf-8' codec can't decode"):
        harmonize("Zeit;\u00b5\n1;2\n".encode("cp1252"), columns={"t": "Zeit"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"file": None}, "input 'file' is missing"),
        ({"columns": None}, "input 'columns' is missing: which columns the result is to have"),
        ({"columns": ["Time"]}, "input 'columns' is an object, not list"),
        ({"constants": {"time": "x"}}, "'time' is in both inputs 'columns' and 'constants'"),
        ({"constants": {"x": None}}, "input 'constants': 'x' is a text or a number"),
        ({"delimiter": ";;"}, "input 'delimiter' is a single character"),
        ({"decimal": ";"}, "input 'decimal' is ';', it must be one of"),
        ({"thousands": ","}, "input 'thousands' is the same as 'decimal'"),
        ({"header_line": "3"}, "input 'header_line' is a whole number from 1"),
        ({"encoding": "utf-99"}, "input 'encoding': 'utf-99' is not known"),
        ({"bad_values": "drop"}, "input 'bad_values' is 'drop'"),
        ({"missing": "NA"}, "input 'missing' is a list of texts"),
        ({"time_zone": "Mars"}, None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_harmonize_input_that_is_not_understood_is_named(harmonize, given, words):
    if words is None:  # no column asks for it
        harmonize(**given)
        return
    with pytest.raises((TypeError, ValueError)) as caught:
        harmonize(**given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("header_line", "text"),
    [(1, "a\n1\nx\n2\n"), (3, "a\n2\n"), (None, "a\n1\nx\n2\n")],
)
def test_harmonize_header_line_is_where_it_is_said_to_be(harmonize, files, header_line, text):
    harmonize(b"x\n1\nx\n2\n", columns={"a": "x"}, header_line=header_line)
    assert files.written["run7-harmonized.csv"].text == text
