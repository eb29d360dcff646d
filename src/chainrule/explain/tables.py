"""Tables of text for a terminal, and numbers of one width."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> Iterator[str]:
    """Lines of columns under their heads, as wide as they need to be; ``right`` columns are aligned to the right.

    >>> print("\\n".join(table(("layer", "size"), [("0", "12"), ("1", "7")], right=[1])))
    layer  size
    ───────────
    0        12
    1         7
    """
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    for row in (heads, *rows):
        cells = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
        if row is heads:
            yield "─" * (sum(widths) + 2 * (len(widths) - 1))


def number_text(value: float, digits: int = 6) -> str:
    """A number with so many digits and a real minus sign; a dash for none.

    >>> number_text(-0.0123456789), number_text(0.0), number_text(float("nan"))
    ('−0.0123457', '0', '–')
    """
    return "–" if math.isnan(value) else f"{value:.{digits}g}".replace("-", "−")
