"""What one cell of a table says: a number, a text, or that it is missing."""

from __future__ import annotations

import math

MISSING = frozenset({"", "na", "n/a", "nan", "?", "null"})
LARGEST = 3.0e38  # float32 ends at 3.4e38


def is_missing(cell: object) -> bool:
    """Whether a cell holds no value: empty, NA, nan, ?, null, None, or a data frame's own missing value.

    >>> [is_missing(cell) for cell in ("", " NA ", "?", float("nan"), None, "0", 0.0)]
    [True, True, True, True, True, False, False]
    """
    if isinstance(cell, str):
        return cell.strip().casefold() in MISSING
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and math.isnan(cell)


def number(cell: object) -> float | None:
    """The number that a cell holds, or None where it holds text; infinite where the number has no end.

    >>> [number(cell) for cell in ("1.5", " -2e3 ", 7, "seven", "1_000", True, "1e999")]
    [1.5, -2000.0, 7.0, None, None, None, inf]
    """
    if isinstance(cell, str):
        if "_" in cell:  # Python's own spelling of a long number, never a table's
            return None
    elif type(cell).__name__ in ("bool", "bool_") or not hasattr(cell, "__float__"):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None
    except OverflowError:
        return math.inf


def text(cell: object) -> str:
    """The text that a cell holds, without the spaces around it."""
    return str(cell).strip()


def has_decimal_comma(cell: object) -> bool:
    """Whether a text is a number once its comma is a point.

    >>> has_decimal_comma("1,5"), has_decimal_comma("red, green")
    (True, False)
    """
    return isinstance(cell, str) and cell.count(",") == 1 and number(cell.replace(",", ".")) is not None
