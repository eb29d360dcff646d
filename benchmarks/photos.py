"""How well digits are read from photos of handwriting, as `chainrule predict RUN FILES --as digit` reads them.

    python benchmarks/photos.py

A network with 100 hidden units is trained for some epochs on MNIST, slightly shifted and turned. The photos are made:
a digit of the test part, enlarged and turned by up to 15°, drawn in dark ink somewhere on grey paper under a shadow,
with noise and specks. It prints how many of the same 200 digits are read rightly as they are, as photos, and as photos
that are only made small, for comparison; `--picture FILE.png` draws some photos over what is made of them.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import chainrule as cr
from chainrule.augmentation import Rotate, Shift, Zoom
from chainrule.data.handwriting import as_digit
from chainrule.keys import Key

COUNT = 200


def photo(digit: NDArray[np.uint8], key: Key, *, light_ink: bool = False) -> NDArray[np.uint8]:
    """A photo (h, w) of a digit (28, 28) on paper."""
    angle, ink, paper, slope, turn, place = (key.child(name) for name in "angle ink paper slope turn place".split())
    side = int(160 + 140 * float(key.child("side").uniform(())))
    image = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    turned = image.rotate(float(angle.uniform((), -15, 15)), Image.Resampling.BICUBIC, expand=True)
    height, width = (int(turned.size[1] * 1.7), int(turned.size[0] * 1.5))
    shade = np.zeros((height, width))
    top, left = (int(room * float(part)) for room, part in zip(
        (height - turned.size[1], width - turned.size[0]), place.uniform((2,)), strict=True))  # fmt: skip
    shade[top : top + turned.size[1], left : left + turned.size[0]] = np.asarray(turned) / 255
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    direction = float(turn.uniform((), 0, 2 * math.pi))
    gradient = float(slope.uniform((), 0.1, 0.3)) * (math.cos(direction) * y + math.sin(direction) * x)
    ground = float(paper.uniform((), 0.6, 0.8)) * (1 + gradient - 0.1 * (y * y + x * x))
    dark = float(ink.uniform((), 0.15, 0.4))
    drawn = ground * (1 - shade * (1 - dark)) + key.child("noise").normal((height, width), 0.015)
    for speck in range(6):
        row, column = (key.child("speck").child(speck).uniform((2,)) * (height - 4, width - 4)).astype(int)
        drawn[row : row + 3, column : column + 3] *= 0.6
    whole = np.clip(255 * drawn, 0, 255).astype(np.uint8)
    return 255 - whole if light_ink else whole


def trained(epochs: int = 3) -> tuple[cr.Run, cr.data.Dataset]:
    """A small network for MNIST, and the test part."""
    train, test = cr.data.load("mnist", images=True)
    model = cr.Chain(cr.Flatten(), cr.Dense(100, cr.relu), cr.Dense(10))
    moved = [Shift(1), Rotate(10), Zoom(0.1)]
    run = cr.fit(model, train, epochs=epochs, batch_size=64, optimizer=cr.optimizers.Adam(0.002), augmentation=moved,
                 progress=False)  # fmt: skip
    return run, test


def main() -> None:
    """Train, photograph, read, and count."""
    run, test = trained()
    digits, labels = test.inputs[:COUNT, ..., 0], np.asarray(test.targets)[:COUNT].astype(str)
    photos = [photo(digit, Key(1).child(number)) for number, digit in enumerate(digits)]
    read = np.stack([as_digit(one) for one in photos])
    small = np.stack([255 - np.asarray(Image.fromarray(one).resize((28, 28))) for one in photos])
    light = np.stack([as_digit(photo(digit, Key(2).child(n), light_ink=True)) for n, digit in enumerate(digits)])
    rows = {"the digits themselves": digits, "photos, as digits": read, "light ink on dark": light,
            "photos, only made small": small}  # fmt: skip
    for name, inputs in rows.items():
        right = int((run.predict(inputs[..., None]) == labels).sum())
        print(f"{name:28}{right:5} of {COUNT} right")
    if "--picture" in sys.argv:
        cells = [np.asarray(Image.fromarray(one).resize((84, 84))) for one in photos[:12]]
        made = [np.asarray(Image.fromarray(one).resize((84, 84))) for one in read[:12]]
        target = Path(sys.argv[sys.argv.index("--picture") + 1])
        Image.fromarray(np.vstack([np.hstack(cells), np.hstack(made)])).save(target)
        print(f"drawn in {target}")


if __name__ == "__main__":
    main()
