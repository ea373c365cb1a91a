"""The plate reader's export: what it says of itself, and its readings as rows."""

from typing import Any, NamedTuple

# What the reader writes in place of a number above the end of its scale.
OVER_RANGE = "OVER"


class Well(NamedTuple):
    """A well's place, from row 1 and column 1, and what was put into it."""

    row: int
    column: int
    content: dict

    @property
    def name(self) -> str:
        """Return the place as it is printed on the plate, such as ``B7``."""
        return well_name(self.row, self.column)


def well_name(row: int, column: int) -> str:
    """Return the printed name of a place, such as ``B7``."""
    return f"{chr(ord('A') + row - 1)}{column}"


def describe(export: dict) -> dict[str, str]:
    """Return instrument, assay, run and plate as texts."""
    return {
        "instrument": f"{member(export, 'instrument', 'model')} "
        f"{member(export, 'instrument', 'serial')}",
        "assay": str(member(export, "assay", "name")),
        "run": str(member(export, "run", "id")),
        "plate": str(member(export, "plate", "barcode")),
    }


def tidy(export: dict) -> list[dict]:
    """Return one row per well and wavelength, in the plate's order.

    Raises:
        ValueError: A member is missing, or the readings do not fit the plate.
    """
    member(export, "extra_data")
    wells = list(filled_wells(export))
    return [
        reading(well, wavelength=member(read, "wavelength_nm"), cell=cell_of(read, well, export))
        for read in member(export, "reads")
        for well in wells
    ]


def filled_wells(export: dict) -> list[Well]:
    """Return the wells that hold something, row by row."""
    contents = member(export, "plate", "wells")
    places = [
        (row, column)
        for row in range(1, member(export, "plate", "rows") + 1)
        for column in range(1, member(export, "plate", "columns") + 1)
    ]
    unknown = contents.keys() - {well_name(*place) for place in places}
    if unknown:
        raise ValueError(f"the plate has no well {', '.join(sorted(unknown))}")
    return [
        Well(row, column, contents[well_name(row, column)])
        for row, column in places
        if well_name(row, column) in contents
    ]


def reading(well: Well, *, wavelength: int, cell: Any) -> dict:
    """Return one row; `wavelength` in nm, absorbance without unit, or None over range."""
    over = cell == OVER_RANGE
    if not over and (isinstance(cell, bool) or not isinstance(cell, (int, float))):
        raise ValueError(f"well {well.name} at {wavelength} nm reads {cell!r}, not a number")
    return {
        "well": well.name,
        "row": well.row,
        "column": well.column,
        "role": member(well.content, "role"),
        "sample": well.content.get("sample"),
        "standard_ug_ml": well.content.get("ug_ml"),
        "wavelength_nm": wavelength,
        "absorbance": None if over else cell,
    }


def cell_of(read: dict, well: Well, export: dict) -> Any:
    """Return what the reader wrote for a well.

    Raises:
        ValueError: The read has not one value for each place on the plate.
    """
    cells = member(read, "absorbance")
    rows, columns = member(export, "plate", "rows"), member(export, "plate", "columns")
    if len(cells) != rows or any(len(line) != columns for line in cells):
        raise ValueError(
            f"the read at {member(read, 'wavelength_nm')} nm is not {rows} x {columns}"
        )
    return cells[well.row - 1][well.column - 1]


def member(document: Any, *names: str) -> Any:
    """Return a nested member.

    Raises:
        ValueError: It is missing; the message names the path to it.
    """
    for depth, name in enumerate(names, 1):
        if not isinstance(document, dict) or name not in document:
            path = ".".join(names[:depth])
            raise ValueError(f"no '{path}': this is not an export of the plate reader")
        document = document[name]
    return document
