"""What optimizers.npz holds is what make_golden.py says it holds: its formulas, in plain NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Memory = dict[str, Array]
Update = Callable[[Array, Array, Memory, int], Array]


def sgd(w: Array, d: Array, m: Memory, step: int) -> Array:
    return np.asarray(w - 0.1 * d)


def momentum(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["v"] = 0.9 * m["v"] + d
    return np.asarray(w - 0.1 * m["v"])


def nesterov(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["v"] = 0.9 * m["v"] + d
    return np.asarray(w - 0.1 * (d + 0.9 * m["v"]))


def adam(w: Array, d: Array, m: Memory, step: int, largest: bool = False) -> Array:
    m["m"] = 0.9 * m["m"] + 0.1 * d
    m["v"] = 0.999 * m["v"] + 0.001 * d**2
    m["top"] = np.maximum(m["top"], m["v"])
    second = (m["top"] if largest else m["v"]) / (1 - 0.999**step)
    return np.asarray(w - 0.01 * m["m"] / (1 - 0.9**step) / (np.sqrt(second) + 1e-8))


def rmsprop(w: Array, d: Array, m: Memory, step: int, momentum: float = 0.0, centred: bool = False) -> Array:
    m["m"] = 0.99 * m["m"] + 0.01 * d
    m["v"] = 0.99 * m["v"] + 0.01 * d**2
    m["w"] = momentum * m["w"] + d / (np.sqrt(m["v"] - centred * m["m"] ** 2) + 1e-8)
    return np.asarray(w - 0.01 * m["w"])


def adagrad(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["v"] = m["v"] + d**2
    return np.asarray(w - 0.1 * d / (np.sqrt(m["v"]) + 1e-10))


def adadelta(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["v"] = 0.9 * m["v"] + 0.1 * d**2
    move = np.sqrt(m["w"] + 1e-6) / np.sqrt(m["v"] + 1e-6) * d
    m["w"] = 0.9 * m["w"] + 0.1 * move**2
    return np.asarray(w - move)


def adamax(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["m"] = 0.9 * m["m"] + 0.1 * d
    m["top"] = np.maximum(0.999 * m["top"], np.abs(d) + 1e-8)
    return np.asarray(w - 0.002 / (1 - 0.9**step) * m["m"] / m["top"])


def nadam(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["m"] = 0.9 * m["m"] + 0.1 * d
    m["v"] = 0.999 * m["v"] + 0.001 * d**2
    rates = [0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in range(1, step + 2)]
    ahead = rates[-1] * m["m"] / (1 - np.prod(rates)) + (1 - rates[-2]) * d / (1 - np.prod(rates[:-1]))
    return np.asarray(w - 0.002 * ahead / (np.sqrt(m["v"] / (1 - 0.999**step)) + 1e-8))


def rprop(w: Array, d: Array, m: Memory, step: int) -> Array:
    turn = np.sign(d * m["m"])
    size = (m["w"] if step > 1 else 0.01) * np.where(turn > 0, 1.2, np.where(turn < 0, 0.5, 1.0))
    m["w"] = np.clip(size, 1e-6, 50.0)
    m["m"] = np.where(turn < 0, 0.0, d)
    return np.asarray(w - np.sign(m["m"]) * m["w"])


def averaged(w: Array, d: Array, m: Memory, step: int) -> Array:
    m["w"] = momentum(m["w"] if step > 1 else w, d, m, step)
    return np.asarray(0.9 * w + 0.1 * m["w"])


FORMULAS: dict[str, Update] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "weight_decay": lambda w, d, m, step: momentum(w, d + 0.01 * w, m, step),
    "adam": adam,
    "adamw": lambda w, d, m, step: adam(w - 0.01 * 0.05 * w, d, m, step),
    "amsgrad": lambda w, d, m, step: adam(w, d, m, step, largest=True),
    "rmsprop": rmsprop,
    "rmsprop_momentum": functools.partial(rmsprop, momentum=0.9),
    "rmsprop_centred": functools.partial(rmsprop, centred=True),
    "rmsprop_both": functools.partial(rmsprop, momentum=0.9, centred=True),
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adamax": adamax,
    "nadam": nadam,
    "rprop": rprop,
    "averaged": averaged,
}


def test_the_optimizers_are_laid_out_as_the_script_says() -> None:
    with np.load(Path(__file__).parent / "optimizers.npz") as file:
        arrays = dict(file)
    assert {key.partition("/")[0] for key in arrays} == {*FORMULAS, "start", "gradients"}
    assert arrays["gradients"].shape == (100, 3, 4)
    for name, formula in FORMULAS.items():
        w, memory, rows = arrays["start"], {key: np.zeros((3, 4)) for key in ("v", "m", "w", "top")}, []
        for step, slope in enumerate(arrays["gradients"], 1):
            w = formula(w, slope, memory, step)
            rows.append(w)
        np.testing.assert_allclose(np.stack(rows)[1::2], arrays[f"{name}/parameters"], rtol=1e-12, atol=1e-13)
