"""Quantities of samples, from one standard curve for each target."""

from collections import defaultdict
from collections.abc import Iterable
from math import log10
from statistics import correlation, geometric_mean, linear_regression, stdev
from typing import NamedTuple

from export import Well

MAX_CT_SD = 0.5  # cycles
MIN_R_SQUARED = 0.98
EFFICIENCY = (0.90, 1.10)
CONTROL_CYCLES = 35.0
MIN_STANDARDS = 3


class Curve(NamedTuple):
    """A standard curve: ``ct = slope * log10(copies) + intercept``.

    Attributes:
        target: What was amplified.
        slope: Cycles for each decade.
        intercept: Cycles at one copy.
        r_squared: Of the fit.
        lowest: Smallest quantity of the standards, copies.
        highest: Largest quantity of the standards, copies.
        faults: Why it is not to be used; mostly nothing.
    """

    target: str
    slope: float
    intercept: float
    r_squared: float
    lowest: float
    highest: float
    faults: list[str]

    @property
    def efficiency(self) -> float:
        """Return by how much each cycle adds; 1 for a doubling."""
        return 10 ** (-1 / self.slope) - 1

    def copies(self, ct: float) -> float:
        """Return the quantity at which a well reads a Ct."""
        return 10 ** ((ct - self.intercept) / self.slope)


class Result(NamedTuple):
    """A sample's quantity of one target.

    Attributes:
        copies: Geometric mean of the replicates; None where one was not amplified.
        relative: Copies for each copy of the reference; None for the reference itself.
        replicates: How many wells count.
        ct_sd: Standard deviation of their Ct, cycles.
        flags: Why a person should look at it; mostly nothing.
    """

    sample: str
    target: str
    copies: float | None
    relative: float | None
    replicates: int
    ct_sd: float | None
    flags: list[str]


def fit(target: str, wells: Iterable[Well]) -> Curve:
    """Return a target's standard curve, with what is wrong with it.

    Raises:
        ValueError: There are too few standards for one.
    """
    own = [well for well in wells if well.target == target and not well.omitted]
    standards = [well for well in own if well.task == "standard" and well.ct is not None]
    if len({well.quantity for well in standards}) < MIN_STANDARDS:
        raise ValueError(f"{target}: a curve needs {MIN_STANDARDS} standards that were amplified")
    quantities = [well.quantity or 0.0 for well in standards]
    x, y = [log10(quantity) for quantity in quantities], [well.ct or 0.0 for well in standards]
    slope, intercept = linear_regression(x, y)
    curve = Curve(
        target=target,
        slope=slope,
        intercept=intercept,
        r_squared=correlation(x, y) ** 2,
        lowest=min(quantities),
        highest=max(quantities),
        faults=[],
    )
    return curve._replace(faults=faults(curve, own))


def faults(curve: Curve, wells: Iterable[Well]) -> list[str]:
    """Return why a curve is not to be used."""
    found = []
    lowest, highest = EFFICIENCY
    if not lowest <= curve.efficiency <= highest:
        found.append(f"{curve.target}: the efficiency is {100 * curve.efficiency:.0f} %")
    if curve.r_squared < MIN_R_SQUARED:
        found.append(f"{curve.target}: r squared is {curve.r_squared:.3f}")
    for well in wells:
        if well.task == "control" and well.ct is not None and well.ct < CONTROL_CYCLES:
            found.append(f"{curve.target}: control {well.position} reads {well.ct:.1f} cycles")
    return found


def quantify(wells: list[Well], curves: dict[str, Curve], *, reference: str) -> list[Result]:
    """Return a result for each sample and target, the reference's own included.

    Args:
        wells: All wells.
        curves: By target.
        reference: The target to which others are related.

    Raises:
        ValueError: There is no such target.
    """
    if reference not in curves:
        raise ValueError(f"there is no target '{reference}', only {', '.join(curves)}")
    groups: dict[tuple[str, str], list[Well]] = defaultdict(list)
    for well in wells:
        if well.task == "sample" and not well.omitted:
            groups[well.sample, well.target].append(well)
    found = {key: result(group, curves[key[1]]) for key, group in sorted(groups.items())}
    return [
        each if each.target == reference else related(each, found.get((each.sample, reference)))
        for each in found.values()
    ]


def result(wells: list[Well], curve: Curve) -> Result:
    """Return the quantity of the replicates of one sample."""
    cycles = [well.ct for well in wells if well.ct is not None]
    spread = stdev(cycles) if len(cycles) > 1 else None
    copies = geometric_mean(map(curve.copies, cycles)) if len(cycles) == len(wells) else None
    flags = []
    if copies is None:
        flags.append("a replicate was not amplified")
    elif not curve.lowest <= copies <= curve.highest:
        flags.append("outside of the standards")
    if spread is not None and spread > MAX_CT_SD:
        flags.append("replicates differ")
    return Result(wells[0].sample, curve.target, copies, None, len(wells), spread, flags)


def related(result: Result, reference: Result | None) -> Result:
    """Return a result with its quantity for each copy of the reference."""
    if reference is None or not reference.copies or result.copies is None:
        return result._replace(flags=[*result.flags, "no reference"])
    return result._replace(relative=result.copies / reference.copies)
