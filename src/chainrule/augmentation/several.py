"""Several augmentations one after the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from chainrule.augmentation.maps import Geometric, moved
from chainrule.augmentation.samples import Augmentation, Samples
from chainrule.errors import ConfigurationError
from chainrule.layers.scope import Scope


@dataclass(frozen=True, init=False)
class Augmentations:
    """Augmentations one after the other; ``fit(…, augmentation=[…])`` makes one of a list.

    Neighbours that move pixels, with the same ``outside``, are one pass over the image however many they are: their
    maps are composed, and each pixel is interpolated once.

    >>> from chainrule.augmentation import Mixup, Rotate, Shift
    >>> len(Augmentations(Shift(2), Rotate(10), Mixup(0.2)).parts)
    3
    """

    parts: tuple[Augmentation, ...]

    def __init__(self, *parts: Augmentation) -> None:
        for place, part in enumerate(parts):
            if isinstance(part, type) or not hasattr(part, "apply"):
                raise ConfigurationError(
                    f"Augmentations: entry {place} is one of chainrule.augmentation, such as Shift(2), not {part!r}"
                )
        object.__setattr__(self, "parts", parts)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Samples changed by one after the other."""
        scoped = [(part, replace(scope, path=f"{scope.path}.{n}", used={})) for n, part in enumerate(self.parts)]
        for outside, group in itertools.groupby(scoped, key=lambda entry: getattr(entry[0], "outside", None)):
            together = list(group)
            geometric = [(part, own) for part, own in together if isinstance(part, Geometric)]
            if outside is not None and len(geometric) == len(together):
                samples = moved(samples, geometric)
            else:
                for part, own in together:
                    samples = part.apply(own, samples)
        return samples
