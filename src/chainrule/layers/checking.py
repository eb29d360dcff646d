"""What the settings of layers have in common to be refused for."""

from __future__ import annotations

from chainrule.errors import ConfigurationError


def check_range(who: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse what is no number from ``low`` to below ``high``."""
    whole = isinstance(value, int | float) and not isinstance(value, bool)
    if not whole or not low <= value < high:
        until = "upwards" if high == float("inf") else f"to below {high:g}"
        raise ConfigurationError(f"{who}: {name} is a number from {low:g} {until}, not {value!r}")
