"""Networks to look into: small ones whose weights are known, and one that was trained on digits."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.data import Dataset
from chainrule.run import Run

SIZE = 9


@functools.cache
def trained() -> tuple[Run, Dataset]:
    """Convolutions, batch normalisation, dropout and a shortcut, after some epochs, in float64."""
    train, test = cr.data.load("digits", images=True)
    model = cr.Chain(
        cr.Conv2D(6, 3, bias=False),
        cr.BatchNorm(),
        cr.relu,
        cr.MaxPool2D(2),
        cr.Residual(cr.Conv2D(6, 3, cr.relu), cr.Conv2D(6, 3)),
        cr.Flatten(),
        cr.Dense(16, cr.tanh),
        cr.Dropout(0.2),
        cr.Dense(10),
    )
    run = cr.fit(
        model, train, optimizer=cr.optimizers.Adam(0.003), epochs=4, dtype="float64", engine="reference", progress=False
    )
    return run, test


def crosses(dtype: str = "float64", engine: str = "reference") -> Run:
    """One filter that answers to a cross of five pixels alone, another to none; each class is the mean of its map."""
    images = np.zeros((4, SIZE, SIZE, 1), np.float32)
    data = Dataset(images, np.array([0, 1, 0, 1]), classes=("cross", "nothing"))
    model = cr.Chain(cr.Conv2D(2, 3, cr.relu), cr.GlobalAveragePool(), cr.Dense(2, bias=False))
    run = cr.prepare(model, data, dtype=dtype, engine=engine)
    kernel = np.full((3, 3, 1, 2), -1.0)
    kernel[1, :, 0, 0] = kernel[:, 1, 0, 0] = 1.0
    values: dict[str, Any] = {"0.weight": kernel, "0.bias": np.array([-4.0, 0.0]), "2.weight": np.eye(2)}
    run.set_parameters(values)
    return run


def cross(row: int, column: int) -> np.ndarray[Any, Any]:
    """An image, (1, height, width, 1), of a cross with its middle at a place."""
    image = np.zeros((1, SIZE, SIZE, 1))
    image[0, row - 1 : row + 2, column, 0] = image[0, row, column - 1 : column + 2, 0] = 1.0
    return image


def dense() -> tuple[Run, Dataset]:
    """A dense network on a table, untrained."""
    train, test = cr.data.load("iris")
    return cr.prepare(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, engine="reference"), test
