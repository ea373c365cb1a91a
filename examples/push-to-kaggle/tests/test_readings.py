"""The readings as rows, and protein content from them; plain functions, no platform."""

import importlib
import json
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def script_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT / "task-scripts/sspdemo"))


@pytest.fixture
def plate():
    return importlib.import_module("plate")


@pytest.fixture
def protein():
    return importlib.import_module("protein")


@pytest.fixture
def export():
    return json.loads((PROJECT / "data/run42.json").read_text())


def test_tidy_gives_a_row_per_well_and_wavelength(plate, export):
    rows = plate.tidy(export)

    assert len(rows) == 2 * 96
    b1 = next(row for row in rows if (row["well"], row["wavelength_nm"]) == ("B1", 562))
    assert (b1["role"], b1["standard_ug_ml"]) == ("standard", 25)
    assert b1["absorbance"] == export["reads"][0]["absorbance"][1][0]


def test_tidy_over_range_has_no_number(plate, export):
    empty = [row["well"] for row in plate.tidy(export) if row["absorbance"] is None]

    assert empty == ["E10"]


def test_tidy_missing_member_names_the_path_to_it(plate, export):
    del export["plate"]["rows"]

    with pytest.raises(ValueError, match=r"no 'plate\.rows'"):
        plate.tidy(export)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        pytest.param("ERR", "well A1 at 562 nm reads 'ERR'", id="text"),
        pytest.param(None, "well A1 at 562 nm reads None", id="null"),
        pytest.param(True, "well A1 at 562 nm reads True", id="boolean"),
    ],
)
def test_tidy_reading_that_is_no_number_is_refused(plate, export, cell, message):
    export["reads"][0]["absorbance"][0][0] = cell

    with pytest.raises(ValueError, match=message):
        plate.tidy(export)


def test_tidy_short_line_is_refused(plate, export):
    export["reads"][1]["absorbance"][3].pop()

    with pytest.raises(ValueError, match="the read at 700 nm is not 8 x 12"):
        plate.tidy(export)


def test_tidy_well_outside_the_plate_is_refused(plate, export):
    export["plate"]["wells"]["H13"] = {"role": "blank"}

    with pytest.raises(ValueError, match="no well H13"):
        plate.tidy(export)


def rows_of(*wells):
    """Return readings at 562 and 700 nm of (well, role, content or sample, absorbance)."""
    return [
        {
            "well": well,
            "role": role,
            "sample": name if role == "sample" else None,
            "standard_ug_ml": name if role == "standard" else None,
            "wavelength_nm": wavelength,
            "absorbance": value if wavelength == 562 else 0.1,
        }
        for wavelength in (562, 700)
        for well, role, name, value in wells
    ]


LINE = [
    ("A1", "blank", None, 0.2),
    ("B1", "standard", 100, 0.3),
    ("C1", "standard", 200, 0.4),
    ("D1", "standard", 400, 0.6),
]
ASSAY = {"signal_nm": 562, "reference_nm": 700}


def test_analyse_straight_line_gives_content_before_dilution(protein):
    readings = rows_of(*LINE, ("E1", "sample", "S-1", 0.5), ("E2", "sample", "S-1", 0.5))

    results = protein.analyse(readings, assay=ASSAY, dilution=5)

    assert results["curve"]["slope"] == pytest.approx(0.001)
    assert results["curve"]["r_squared"] == pytest.approx(1.0)
    (sample,) = results["samples"]
    assert (sample["protein_ug_ml"], sample["flags"]) == (1500.0, [])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((0.5, None), ["a replicate is over range"], id="over-range"),
        pytest.param((0.4, 0.6), ["replicates differ"], id="spread"),
        pytest.param((0.7, 0.7), ["above the highest standard"], id="too-much"),
    ],
)
def test_analyse_doubtful_sample_is_flagged(protein, values, expected):
    samples = [("E1", "sample", "S-1", values[0]), ("E2", "sample", "S-1", values[1])]

    (sample,) = protein.analyse(rows_of(*LINE, *samples), assay=ASSAY, dilution=1)["samples"]

    assert sample["flags"] == expected


def test_analyse_too_few_standards_is_refused(protein):
    with pytest.raises(ValueError, match="needs 3 different standards, there are 2"):
        protein.analyse(rows_of(*LINE[:3]), assay=ASSAY, dilution=1)
