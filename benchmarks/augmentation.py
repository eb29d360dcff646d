"""What an augmentation costs in a step: seconds of steps with it, less seconds of the same steps without.

    python benchmarks/augmentation.py

28×28 images of one channel in batches of 64, a linear model, so that the step beside it is small. The least of five
rounds, each of 100 steps in one call of the program. A step of a small convolutional network on such a batch takes
about 15 milliseconds on two cores.
"""

from __future__ import annotations

import time
from typing import Any

import chainrule as cr
from chainrule.augmentation import (
    Brightness,
    Colour,
    Contrast,
    Crop,
    CutMix,
    Cutout,
    Elastic,
    Flip,
    Mixup,
    PixelNoise,
    Rotate,
    Shear,
    Shift,
    Zoom,
)  # fmt: skip
from chainrule.keys import Key

BATCH, STEPS, ROUNDS = 64, 100, 5


def milliseconds(augmentation: Any, channels: int = 1) -> float:
    """Of one step, at best."""
    inputs = Key(0).bits(BATCH * STEPS * 784 * channels // 4).view("uint8")
    data = cr.data.from_arrays(inputs.reshape(-1, 28, 28, channels), [n % 10 for n in range(BATCH * STEPS)])
    run = cr.prepare(cr.Chain(cr.Flatten(), cr.Dense(10)), data.standardize(), augmentation=augmentation,
                     batch_size=BATCH)  # fmt: skip
    run.fit(data, epochs=1, progress=False)
    taken = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        run.fit(data, epochs=number + 2, progress=False)
        taken.append(time.perf_counter() - start)
    return min(taken) / STEPS * 1000


def main() -> None:
    """A row for each, and for all that move pixels together."""
    moving: list[Any] = [Shift(2), Rotate(15), Zoom(0.1), Shear(10), Elastic(34, 4)]
    rows: dict[str, Any] = {
        "Shift(2)": Shift(2), "Rotate(15)": Rotate(15), "Zoom(0.1)": Zoom(0.1), "Shear(10)": Shear(10),
        "Flip()": Flip(), "Crop(0.4)": Crop(0.4), "Elastic(34, 4)": Elastic(34, 4),
        "Shift, Rotate, Zoom, Shear": moving[:4], "Shift, Rotate, Zoom, Shear, Elastic": moving,
        "Brightness(0.2)": Brightness(0.2), "Contrast(0.2)": Contrast(0.2), "Cutout(8)": Cutout(8),
        "PixelNoise(0.1)": PixelNoise(0.1), "Mixup(0.2)": Mixup(0.2), "CutMix()": CutMix(),
        "everything": [*moving, Brightness(0.2), Contrast(0.2), Cutout(8), PixelNoise(0.1), CutMix(), Mixup(0.2)],
    }  # fmt: skip
    plain = milliseconds(None)
    print(f"{'no augmentation':40}{plain:8.2f} ms a step")
    for name, augmentation in rows.items():
        print(f"{name:40}{milliseconds(augmentation) - plain:+8.2f} ms", flush=True)
    colours = milliseconds(None, 3)
    for name, one in {"three channels: Colour(0.2)": Colour(0.2), "three channels: Shift, …, Elastic": moving}.items():
        print(f"{name:40}{milliseconds(one, 3) - colours:+8.2f} ms", flush=True)


if __name__ == "__main__":
    main()
