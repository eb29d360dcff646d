"""The form in which image files come to a network: kept with a run, so that files to predict come in the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.errors import ConfigurationError

FITS = ("crop", "stretch")
KINDS = ("image", "digit")
COLOURS = {"grey": 1, "rgb": 3}
_LARGEST = 1 << 16


@dataclass(frozen=True)
class ImageForm:
    """Images of ``height`` × ``width`` pixels and 1 (grey) or 3 (RGB) ``channels``, 0 … 255.

    An image of another size is made to fit: "crop" scales it until it covers all, and cuts off what stands over, left
    and right or above and below alike; "stretch" scales each side by itself. As "digit", what is written by hand on
    paper is found, cut out and centred first, as MNIST's digits are.

    >>> ImageForm(28, 28, 1).shape
    (28, 28, 1)
    """

    height: int
    width: int
    channels: int
    fit: str = "crop"
    kind: str = "image"

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
                raise ConfigurationError(f"images: {name} is a whole number from 1 to {_LARGEST:,}, not {value!r}")
        if self.channels not in COLOURS.values() or isinstance(self.channels, bool):
            raise ConfigurationError(f"images: channels is 1 (grey) or 3 (RGB), not {self.channels!r}")
        for name, known in (("fit", FITS), ("kind", KINDS)):
            if getattr(self, name) not in known:
                raise ConfigurationError(f"images: {name} is {' or '.join(known)}, not {getattr(self, name)!r}")
        if self.kind == "digit" and self.channels != 1:
            raise ConfigurationError("images: a digit is grey, of 1 channel, not of 3")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image's array: (height, width, channels)."""
        return self.height, self.width, self.channels

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for TOML or JSON."""
        return {**vars(self)}

    @classmethod
    def from_dict(cls, values: Any) -> ImageForm:
        """The form that ``to_dict`` wrote; ConfigurationError names what is wrong."""
        if not isinstance(values, Mapping):
            raise ConfigurationError("images: a table with height, width and channels was expected")
        known = cls.__dataclass_fields__
        for key in values:
            if key not in known:
                raise ConfigurationError(f"images: unknown key {key!r}; known are {', '.join(known)}")
        absent = [key for key in ("height", "width", "channels") if key not in values]
        if absent:
            raise ConfigurationError(f"images: {', '.join(absent)} is missing")
        return cls(**values)


def as_size(size: Any) -> tuple[int, int] | None:
    """Height and width, from a pair, one number for both, or None; ConfigurationError for what is neither."""
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else size
    whole = isinstance(pair, tuple | list) and len(pair) == 2
    if not whole or any(not isinstance(one, int) or isinstance(one, bool) or not 1 <= one <= _LARGEST for one in pair):
        raise ConfigurationError(f"size is (height, width) in pixels, or one number for both, not {size!r}")
    return pair[0], pair[1]


def as_channels(colour: str | None) -> int | None:
    """The number of channels of "grey" or "rgb", or None; ConfigurationError for another word."""
    if colour is None:
        return None
    if colour not in COLOURS:
        raise ConfigurationError(f"colour is {' or '.join(COLOURS)}, not {colour!r}")
    return COLOURS[colour]
