"""Numbers as text, and the round ones that stand along an axis."""

from __future__ import annotations

import math

#: A few ticks are read faster than many.
_TICKS = 6


def told(value: object, digits: int = 4) -> str:
    """A number with so many significant digits, a real minus sign, whole thousands apart; a text as it is.

    >>> told(0.012345), told(-3.0), told(68213.7), told(1797), told(1.5e-9), told(float("nan")), told(True)
    ('0.01235', '−3', '68,214', '1,797', '1.5e−09', 'not a number', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def exact(value: object) -> str:
    """A setting with all its digits.

    >>> exact(0.1), exact(0.30000000000000004), exact(1e-07), exact([1, 2.0]), exact("relu")
    ('0.1', '0.30000000000000004', '1e-07', '1, 2.0', 'relu')
    """
    if isinstance(value, list | tuple):
        return ", ".join(map(exact, value))
    return told(value) if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """A time in its two largest units.

    >>> duration(0.234), duration(75), duration(7300)
    ('0.23 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def linear_ticks(low: float, high: float) -> list[float]:
    """Round numbers from ``low`` to ``high``, a few of them.

    >>> linear_ticks(0.0, 1.0), linear_ticks(3, 47)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [10.0, 20.0, 30.0, 40.0])
    """
    if not high > low:
        return [low]
    rough = (high - low) / _TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Rounded, or 0.6 would be 0.6000000000000001.
    places = max(0, 1 - math.floor(math.log10(step)))
    return [round(number * step, places) + 0.0 for number in range(first, last + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two positive numbers, thinned if they are many; and between them if they are few.

    >>> logarithmic_ticks(0.001, 2.0), logarithmic_ticks(0.3, 4.0)
    ([0.001, 0.01, 0.1, 1.0], [0.5, 1.0, 2.0])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    within = [power for power in range(first, last + 1) if low * (1 - 1e-9) <= 10.0**power <= high * (1 + 1e-9)]
    if len(within) >= 3:
        return [float(f"1e{power}") for power in within[:: math.ceil(len(within) / _TICKS)]]
    powers = range(first, last + 1)
    between = [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]
    found = [tick for tick in between if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    return found if len(found) >= 2 else linear_ticks(low, high)
