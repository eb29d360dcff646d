"""Recurrent layers in plain NumPy, a loop over time: what the layers of sequences are held to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: Lengths of five sequences, of which some are of all steps, and one of none.
LENGTHS = np.array([3, 5, 0, 1, 5], np.int32)
Cell = Callable[[Array, tuple[Array, ...], dict[str, Array]], tuple[Array, ...]]


def sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


def simple(x: Array, state: tuple[Array, ...], p: dict[str, Array]) -> tuple[Array, ...]:
    return (np.tanh(x @ p["weight"] + state[0] @ p["recurrent_weight"] + p.get("bias", 0.0)),)


def sums(x: Array, hidden: Array, p: dict[str, Array]) -> Array:
    whole = np.einsum("bi,igo->bgo", x, p["weight"]) + np.einsum("bi,igo->bgo", hidden, p["recurrent_weight"])
    return np.asarray(whole + p.get("bias", 0.0))


def lstm(x: Array, state: tuple[Array, ...], p: dict[str, Array]) -> tuple[Array, ...]:
    hidden, cell = state
    enter, keep, new, leave = np.moveaxis(sums(x, hidden, p), 1, 0)
    peephole = p.get("peephole", np.zeros((3, 1)))
    after = sigmoid(keep + peephole[1] * cell) * cell + sigmoid(enter + peephole[0] * cell) * np.tanh(new)
    return sigmoid(leave + peephole[2] * after) * np.tanh(after), after


def gru(x: Array, state: tuple[Array, ...], p: dict[str, Array]) -> tuple[Array, ...]:
    """Whether the reset comes after the product is seen from the number of biases."""
    (hidden,) = state
    after = len(p["bias"]) == 4
    own, past = p["weight"], p["recurrent_weight"]
    reset, update = (sigmoid(x @ own[:, g] + hidden @ past[:, g] + p["bias"][g]) for g in range(2))
    inner = reset * (hidden @ past[:, 2] + p["bias"][3]) if after else (reset * hidden) @ past[:, 2]
    new = np.tanh(x @ own[:, 2] + p["bias"][2] + inner)
    return ((1 - update) * new + update * hidden,)


def unrolled(
    cell: Cell, *, parts: int = 1, sequences: bool = False, backwards: bool = False, below: str = "",
    mask: Callable[[Array], Array] | None = None,
) -> Callable[..., Array]:  # fmt: skip
    """A layer's function of x and its parameters, those of the path ``below``, from its cell."""

    def function(x: Array, p: dict[str, Array]) -> Array:
        p = {name.removeprefix(below): array for name, array in p.items() if name.startswith(below)}
        units = p["recurrent_weight"].shape[0]
        there = np.ones(x.shape[:2], bool) if mask is None else mask(x)
        state = tuple(np.zeros((len(x), units)) for _ in range(parts))
        y = np.zeros((*x.shape[:2], units))
        for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
            after = cell(x[:, t], state, p)
            state = tuple(np.where(there[:, t, None], new, old) for new, old in zip(after, state, strict=True))
            y[:, t] = np.where(there[:, t, None], after[0], 0.0)
        return y if sequences else state[0]

    return function
