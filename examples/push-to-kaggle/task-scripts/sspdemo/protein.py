"""Protein content of samples, from a straight standard curve."""

from collections import defaultdict
from statistics import correlation, linear_regression, mean, stdev

# Replicates that differ by more than this are to be looked at.
MAX_CV_PERCENT = 15.0


def analyse(readings: list[dict], *, assay: dict, dilution: float) -> dict:
    """Return the standard curve and a result per sample.

    Args:
        readings: Rows as `plate.tidy` makes them.
        assay: Gives `signal_nm` and `reference_nm`, wavelengths in nm.
        dilution: How many times the samples were diluted before the assay.

    Raises:
        ValueError: There are too few blanks or standards for a curve.
    """
    wells = corrected(readings, signal=assay["signal_nm"], reference=assay["reference_nm"])
    curve = fit([well for well in wells if well["role"] == "standard"])
    groups: dict[str, list[dict]] = defaultdict(list)
    for well in wells:
        if well["role"] == "sample":
            groups[well["sample"]].append(well)
    samples = [
        result(name, group, curve=curve, dilution=dilution)
        for name, group in sorted(groups.items())
    ]
    return {"curve": curve, "samples": samples}


def corrected(readings: list[dict], *, signal: int, reference: int) -> list[dict]:
    """Return one row per well: signal less reference, less the mean of the blanks.

    `value` is None where one of a well's readings is over range.
    """
    at = {(row["well"], row["wavelength_nm"]): row["absorbance"] for row in readings}
    wells = []
    for row in readings:
        if row["wavelength_nm"] == signal:
            pair = (row["absorbance"], at.get((row["well"], reference)))
            value = None if None in pair else pair[0] - pair[1]
            wells.append({**row, "value": value})
    blanks = [w["value"] for w in wells if w["role"] == "blank" and w["value"] is not None]
    if not blanks:
        raise ValueError(f"no blank has readings at {signal} nm and {reference} nm")
    blank = mean(blanks)
    return [{**w, "value": None if w["value"] is None else w["value"] - blank} for w in wells]


def fit(standards: list[dict]) -> dict:
    """Return slope (per ug/ml), intercept, r squared and range of the standard curve."""
    usable = [well for well in standards if well["value"] is not None]
    contents = [well["standard_ug_ml"] for well in usable]
    values = [well["value"] for well in usable]
    if len(set(contents)) < 3:
        raise ValueError(f"a curve needs 3 different standards, there are {len(set(contents))}")
    slope, intercept = linear_regression(contents, values)
    return {
        "slope": round(slope, 8),
        "intercept": round(intercept, 5),
        "r_squared": round(correlation(contents, values) ** 2, 5),
        "standards": len(usable),
        "highest_ug_ml": max(contents),
    }


def result(name: str, wells: list[dict], *, curve: dict, dilution: float) -> dict:
    """Return a sample's mean, spread and protein content (ug/ml, before dilution)."""
    values = [well["value"] for well in wells if well["value"] is not None]
    average = mean(values) if values else None
    spread = 100 * stdev(values) / average if average and len(values) > 1 else None
    measured = (average - curve["intercept"]) / curve["slope"] if average is not None else None
    return {
        "sample": name,
        "wells": [well["well"] for well in wells],
        "replicates": len(values),
        "mean_absorbance": rounded(average, 4),
        "cv_percent": rounded(spread, 1),
        "protein_ug_ml": rounded(None if measured is None else measured * dilution, 1),
        "flags": flags(wells, measured=measured, spread=spread, highest=curve["highest_ug_ml"]),
    }


def flags(
    wells: list[dict], *, measured: float | None, spread: float | None, highest: float
) -> list[str]:
    """Return why a person should look at a sample; mostly nothing."""
    found = []
    if any(well["value"] is None for well in wells):
        found.append("a replicate is over range")
    if spread is not None and spread > MAX_CV_PERCENT:
        found.append("replicates differ")
    if measured is not None and measured > highest:
        found.append("above the highest standard")
    return found


def rounded(number: float | None, digits: int) -> float | None:
    """Round a number that may be missing."""
    return None if number is None else round(number, digits)
