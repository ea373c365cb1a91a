"""The export as rows, and quantities from them; plain functions, no platform."""

import importlib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def script_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT / "task-scripts/qpcr"))


@pytest.fixture
def export():
    return importlib.import_module("export")


@pytest.fixture
def quantities():
    return importlib.import_module("quantities")


@pytest.fixture
def text():
    return (PROJECT / "data/QX-0311.txt").read_text()


def test_export_gives_its_run_and_a_row_per_well(export, text):
    run, wells = export.read_export(text)

    assert run == {
        "plate": "QX-0311",
        "instrument": "272511834",
        "ended_at": "2025-03-04T15:22:11Z",
    }
    assert len(wells) == 66
    first = wells[0]
    assert (first.position, first.task, first.quantity) == ("A1", "standard", 1_000_000)
    assert {well.ct for well in wells if well.task == "control"} == {None}
    assert [well.position for well in wells if well.omitted] == ["B2"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[Results]", "[Raw]", "no line '[Results]'"),
        ("* Experiment Barcode", "* Barcode", "no line '* Experiment Barcode = ...'"),
        ("16:22:11 PM CET", "16:22:11 PM PST", "no time with one of the zones UTC, CET, CEST"),
        ("\t17.063\t", "\tn/a\t", "line 14, column 'CT': 'n/a' is no number"),
        ("1\tA1\t", "1\tA13\t", "line 14, column 'Well Position': 'A13' is on no plate"),
        ("\tA1\tfalse", "\tA1\tno", "line 14, column 'Omit': 'no' is none of true, false"),
        ("\tSTD 1\tIL6", "\t\tIL6", "line 14: the column 'Sample Name' is empty"),
        ("\tTarget Name\t", "\tGene\t", "line 14: the column 'Target Name' is missing"),
        ("1\tA1\tfalse\t", "1\tA1\t", "line 14: 13 cells, and 14 in the header"),
        ("1,000,000.000", "1000,000", "column 'Quantity': '1000,000' is no number"),
    ],
)
def test_export_fault_is_named_with_line_and_column(export, text, old, new, words):
    assert old in text
    with pytest.raises(ValueError, match=r".") as caught:
        export.read_export(text.replace(old, new, 1))
    assert words in str(caught.value)


@pytest.fixture
def plate(export):
    """Make wells of one target: a perfect curve of slope -3.32, and one sample."""

    def plate(*cycles, task="sample", omitted=False):
        standards = [
            export.Well("A1", "STD", "IL6", "standard", 40 - 3.32193 * power, 10.0**power, False)
            for power in (2, 3, 4, 5)
        ]
        wells = [export.Well("B1", "P-1", "IL6", task, ct, None, omitted=omitted) for ct in cycles]
        return [*standards, *wells]

    return plate


def test_quantify_on_a_perfect_curve_gives_the_copies(quantities, plate):
    wells = plate(40 - 3.32193 * 3, 40 - 3.32193 * 3)
    curve = quantities.fit("IL6", wells)
    [result] = quantities.quantify(wells, {"IL6": curve}, reference="IL6")

    assert (curve.efficiency, curve.faults) == (pytest.approx(1.0, abs=1e-4), [])
    assert (result.copies, result.replicates) == (pytest.approx(1000), 2)
    assert (result.relative, result.flags) == (None, [])


@pytest.mark.parametrize(
    ("cycles", "flags"),
    [
        pytest.param((30.0, 32.0), ["replicates differ"], id="spread"),
        pytest.param((30.0, None), ["a replicate was not amplified"], id="not-amplified"),
        pytest.param((36.0, 36.1), ["outside of the standards"], id="too-little"),
    ],
)
def test_quantify_doubtful_sample_is_flagged(quantities, plate, cycles, flags):
    wells = plate(*cycles)
    curves = {"IL6": quantities.fit("IL6", wells)}
    [result] = quantities.quantify(wells, curves, reference="IL6")
    assert result.flags == flags


def test_fit_amplified_control_is_a_fault_unless_it_was_omitted(quantities, plate):
    assert (
        "control B1 reads 31.0 cycles"
        in quantities.fit("IL6", plate(31.0, task="control")).faults[0]
    )
    assert quantities.fit("IL6", plate(31.0, task="control", omitted=True)).faults == []
    assert quantities.fit("IL6", plate(36.0, task="control")).faults == []


def test_fit_flat_curve_is_a_fault(quantities, plate):
    wells = [well._replace(ct=well.ct * 1.3) for well in plate()]
    assert quantities.fit("IL6", wells).faults == ["IL6: the efficiency is 70 %"]


def test_fit_too_few_standards_is_refused(quantities, plate):
    with pytest.raises(ValueError, match="IL6: a curve needs 3 standards"):
        quantities.fit("IL6", plate()[:2])


def test_quantify_unknown_reference_is_refused(quantities, plate):
    curves = {"IL6": quantities.fit("IL6", plate())}
    with pytest.raises(ValueError, match="there is no target 'ACTB', only IL6"):
        quantities.quantify(plate(30.0), curves, reference="ACTB")
