"""Values, headers and rows of `common/harmonize-csv`: plain functions, no platform."""

import importlib
import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from stepline.testing.kit.script_import import importable

FOLDER = Path(__file__).parents[3] / "task-scripts/harmonize-csv"
MODULES = ("columns", "harmonizing", "tables", "times", "units")

EXPORT = """\
Device;XY-7
Serial;0042;rev. C

Zeit;Temp (\u00b0F);Name;Conc
01.02.2025 10:00:00;98,6;"a; b";1200,5
01.07.2025 10:00:00;-40;c;NA

End of data;;
;;;
"""
COLUMNS = {
    "time": {"from": ["Time", "Zeit"], "type": "time", "format": "%d.%m.%Y %H:%M:%S"},
    "temperature": {"from": "Temp (\u00b0F)", "type": "number", "unit": "degF", "to_unit": "degC"},
    "name": "Name",
    "conc": {"from": "Conc", "type": "number", "unit": "\u00b5g/mL", "to_unit": "mg/ml"},
}


@pytest.fixture
def script():
    """The modules of the task script."""
    with importable(FOLDER):
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


@pytest.fixture
def harmonize(script):
    """Harmonize a text; returns the new text and the outcome."""

    def harmonize(text, columns=COLUMNS, *, end="End", **more):
        reading = script.columns.Reading(decimal=",", time_zone="Europe/Berlin")
        made = [script.columns.column_of(name, each, reading) for name, each in columns.items()]
        rules = {"constants": {}, "missing": frozenset({"na"}), **more}
        layout = script.tables.Layout(end=end)
        target = io.StringIO()
        outcome = script.harmonizing.harmonize_table(
            io.StringIO(text, newline=""),
            target,
            script.harmonizing.Rules(columns=made, layout=layout, **rules),
        )
        return target.getvalue(), outcome

    return harmonize


def test_table_is_found_between_the_lines_around_it(harmonize):
    text, outcome = harmonize(EXPORT, constants={"site": "north"})

    assert text.splitlines() == [
        "time,temperature,name,conc,site",
        "2025-02-01T09:00:00Z,37,a; b,1.2005,north",
        "2025-07-01T08:00:00Z,-40,c,,north",
    ]
    assert (outcome.rows, outcome.missing, outcome.bad) == (2, {"conc": 1}, {})


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_table_is_the_same_with_other_delimiters_and_line_ends(harmonize, delimiter, line_end):
    plain = EXPORT.replace('"a; b"', "b")
    changed = plain.replace(";", delimiter).replace("\n", line_end)
    assert harmonize(changed) == harmonize(plain)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("98,6", "98.6", "line 5, column 'Temp (\u00b0F)': '98.6' is no number"),
        ("98,6", "OVER", "line 5, column 'Temp (\u00b0F)': 'OVER' is no number"),
        ("98,6", "inf", "line 5, column 'Temp (\u00b0F)': 'inf' is no number"),
        ("01.07.2025", "31.06.2025", "line 6, column 'Zeit': '31.06.2025 10:00:00' is not in the"),
        ("01.07.2025 10", "30.03.2025 02", "there is no '30.03.2025 02:00:00' in Europe/Berlin"),
        ("01.07.2025 10", "26.10.2025 02", "'26.10.2025 02:00:00' comes twice in Europe/Berlin"),
        (";c;NA", ";c;NA;7", "line 6: 5 cells for 4 columns"),
        ("Conc", "Konz", "line 4 comes nearest, and lacks 'Conc'"),
        ("Zeit;", "Datum;", "lacks 'Time' or 'Zeit'"),
        (";Name;", ";Conc;Name;", "line 4: the column 'Conc' is there twice"),
        ('"a; b"', '"a; b', "unexpected end of data"),
        (EXPORT, "", "none of the names is there"),
        (EXPORT, "Zeit;Temp (\u00b0F);Name;Conc\n\n", "no rows below the header in line 1"),
    ],
)
def test_fault_of_the_file_is_named_with_its_line(harmonize, script, old, new, words):
    assert old in EXPORT
    with pytest.raises(script.harmonizing.HarmonizeError) as caught:
        harmonize(EXPORT.replace(old, new))
    assert words in str(caught.value)


def test_faults_are_all_named_up_to_twenty(harmonize, script):
    rows = "".join(f"{number}\n" if number % 2 else "x\n" for number in range(60))
    with pytest.raises(script.harmonizing.HarmonizeError) as caught:
        harmonize("n\n" + rows, {"n": {"type": "integer"}})
    lines = str(caught.value).splitlines()
    assert (lines[0], lines[-1]) == ("line 2, column 'n': 'x' is no number", "and 10 more")
    assert len(lines) == 21


def test_bad_values_may_count_as_missing_unless_they_are_required(harmonize, script):
    columns = {"n": {"type": "integer"}, "id": {"required": True}}
    text, outcome = harmonize("n,id\n1.5,a\n2,b\n", columns, drop_bad_values=True)
    assert text == "n,id\n,a\n2,b\n"
    assert (outcome.missing, outcome.bad) == ({"n": 1}, {"n": 1})
    assert outcome.problems == ["line 2, column 'n': '1.5' is no number"]
    with pytest.raises(
        script.harmonizing.HarmonizeError, match="column 'id': the value is missing"
    ):
        harmonize("n,id\n1,na\n", columns, drop_bad_values=True)


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ({"type": "number"}, "1,50", "1.5"),
        ({"type": "number"}, "-0,0", "0"),
        ({"type": "number"}, "1e-9", "1E-9"),
        ({"type": "number"}, "+12", "12"),
        ({"type": "number", "unit": "degC", "to_unit": "K"}, "25", "298.15"),
        ({"type": "number", "unit": "\u00b0F", "to_unit": "degC"}, "212", "100"),
        ({"type": "number", "unit": "degF", "to_unit": "degC"}, "0", "-17.7777777778"),
        ({"type": "number", "unit": "\u03bcL", "to_unit": "ml"}, "250", "0.25"),
        ({"type": "number", "unit": "%", "to_unit": "1"}, "12,5", "0.125"),
        ({"type": "integer"}, "7,0", "7"),
        ({"type": "boolean"}, "Yes", "true"),
        ({"type": "boolean", "values": {"ja": "yes"}}, "ja", "true"),
        ({"values": {"POS": "positive"}}, "POS", "positive"),
        ({"type": "date"}, "2025-03-04", "2025-03-04"),
        ({"type": "date", "format": ["%d/%m/%y", "%d.%m.%Y"]}, "04.03.2025", "2025-03-04"),
        ({"type": "time"}, "2025-03-04T10:00:00+05:00", "2025-03-04T05:00:00Z"),
        ({"type": "time", "time_zone": "Asia/Tokyo"}, "2025-03-04 10:00", "2025-03-04T01:00:00Z"),
        ({"type": "time"}, "2025-07-01 10:00:00.25", "2025-07-01T08:00:00.250Z"),
    ],
    ids=str,
)
def test_value_becomes_what_its_column_says(script, column, text, expected):
    reading = script.columns.Reading(decimal=",", time_zone="Europe/Berlin")
    assert script.columns.column_of("x", column, reading).convert(text) == expected


@pytest.mark.parametrize("kind", ["mass", "volume", "length", "duration", "pressure"])
def test_units_of_a_kind_convert_there_and_back(script, kind):
    units, plain = script.units, script.columns.Decimal("12.5")
    found = [each for each in units.UNITS.values() if each.kind == kind]
    assert len(found) > 2
    for one in found:
        for other in found:
            there = units.converted(plain, one, other)
            assert float(units.converted(there, other, one)) == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (7, "input 'columns': 'x': is a text, a list or an object, not int"),
        ({"name": "y"}, "'name' is no key; keys are: format, from,"),
        ({"type": "float"}, "the type 'float' must be one of: text, number"),
        ({"unit": "g"}, "a unit belongs to the type number, not text"),
        ({"type": "number", "to_unit": "g"}, "'to_unit' needs 'unit'"),
        ({"type": "number", "unit": "g", "to_unit": "ml"}, "g is a mass, and ml a volume"),
        ({"type": "number", "unit": "cups", "to_unit": "ml"}, "the unit 'cups' is not known"),
        ({"type": "number", "unit": 1}, "'unit' is a text"),
        ({"type": "time", "time_zone": "Berlin"}, "the time zone 'Berlin' is not known"),
        ({"from": []}, "'from' is a text, or a list of them"),
        ({"from": [1]}, "'from' is a text, or a list of them"),
        ({"required": "yes"}, "'required' is true or false"),
        ({"values": {"a": 1}}, "'values' is an object of texts"),
    ],
    ids=str,
)
def test_column_that_is_not_understood_is_named(script, column, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        script.columns.column_of("x", column, script.columns.Reading())
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("data", "given", "expected"),
    [
        ("\ufeffa".encode(), "latin-1", "utf-8-sig"),
        ("a".encode("utf-16"), "utf-8", "utf-16"),
        (b"a", "cp1252", "cp1252"),
        (b"", "utf-8", "utf-8"),
    ],
    ids=["mark", "utf-16", "given", "empty"],
)
def test_encoding_is_that_of_the_mark_else_the_given_one(script, tmp_path, data, given, expected):
    (tmp_path / "x.csv").write_bytes(data)
    assert script.tables.encoding_of(str(tmp_path / "x.csv"), given) == expected
