"""The layers and settings that every law is tried on, with what each gives in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from tests.layers.case import Case
from tests.layers.image_cases import IMAGE_CASES
from tests.layers.sequence_cases import SEQUENCE_CASES

Array = NDArray[Any]


def sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


def dense(function: Callable[[Array], Array] = lambda x: x) -> Callable[..., Array]:
    return lambda x, p: np.asarray(function(x @ p["weight"] + p.get("bias", 0.0)))


def softmax(x: Array) -> Any:
    raised: Array = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


W43 = {"weight": (4, 3), "bias": (3,)}
SCALED: dict[str, tuple[int, ...]] = {"scale": (3,), "shift": (3,)}
RUNNING: dict[str, tuple[int, ...]] = {"mean": (3,), "variance": (3,)}


def by_state(x: Array, p: dict[str, Array], epsilon: float = 1e-5) -> Array:
    return np.asarray((x - p["mean"]) / np.sqrt(p["variance"] + epsilon) * p["scale"] + p["shift"])


def by_batch(x: Array, p: dict[str, Array], epsilon: float = 1e-5) -> Array:
    axes = tuple(range(x.ndim - 1))
    return np.asarray((x - x.mean(axes)) / np.sqrt(x.var(axes) + epsilon) * p["scale"] + p["shift"])


def by_sample(x: Array, p: dict[str, Array]) -> Array:
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return np.asarray(normal * p["scale"] + p["shift"])


def unchanged(x: Array, p: dict[str, Array]) -> Array:
    return x


CASES: dict[str, Case] = {
    "Dense": Case(cr.Dense(3), (4,), (3,), W43, dense()),
    "Dense without bias": Case(cr.Dense(3, bias=False), (4,), (3,), {"weight": (4, 3)}, dense()),
    "Dense of one unit": Case(cr.Dense(1), (4,), (1,), {"weight": (4, 1), "bias": (1,)}, dense()),
    "Dense over time": Case(cr.Dense(3), (5, 4), (5, 3), W43, dense()),
    "Dense over a picture": Case(cr.Dense(3), (2, 5, 4), (2, 5, 3), W43, dense()),
    "Dense, identity": Case(cr.Dense(3, cr.identity), (4,), (3,), W43, dense()),
    "Dense, sigmoid": Case(cr.Dense(3, cr.sigmoid), (4,), (3,), W43, dense(sigmoid)),
    "Dense, tanh": Case(cr.Dense(3, cr.tanh), (4,), (3,), W43, dense(np.tanh)),
    "Dense, relu": Case(cr.Dense(3, cr.relu), (4,), (3,), W43, dense(lambda x: np.maximum(x, 0))),
    "Dense, leaky": Case(cr.Dense(3, cr.leaky_relu), (4,), (3,), W43, dense(lambda x: np.where(x > 0, x, 0.01 * x))),
    "Dense, softmax": Case(cr.Dense(3, cr.softmax), (4,), (3,), W43, dense(softmax)),
    "Dense, step": Case(cr.Dense(3, cr.step_function), (4,), (3,), W43, dense(lambda x: (x >= 0) * 1.0), edge=True),
    "Flatten": Case(cr.Flatten(), (2, 3, 4), (24,), {}, lambda x, p: x.reshape(len(x), -1)),
    "Flatten of numbers": Case(cr.Flatten(), (), (1,), {}, lambda x, p: x.reshape(len(x), 1)),
    "Reshape": Case(cr.Reshape((3, 2)), (6,), (3, 2), {}, lambda x, p: x.reshape(-1, 3, 2)),
    "Chain": Case(
        cr.Chain(cr.Flatten(), cr.Dense(4, cr.tanh), cr.sigmoid, cr.Dense(2, bias=False)),
        (2, 3),
        (2,),
        {"1.weight": (6, 4), "1.bias": (4,), "3.weight": (4, 2)},
        lambda x, p: sigmoid(np.tanh(x.reshape(len(x), -1) @ p["1.weight"] + p["1.bias"])) @ p["3.weight"],
    ),
    "Chain within a chain": Case(
        cr.Chain(cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3)), cr.relu),
        (2,),
        (3,),
        {"0.0.weight": (2, 4), "0.0.bias": (4,), "0.1.weight": (4, 3), "0.1.bias": (3,)},
        lambda x, p: np.maximum(np.tanh(x @ p["0.0.weight"] + p["0.0.bias"]) @ p["0.1.weight"] + p["0.1.bias"], 0),
    ),
    "BatchNorm": Case(cr.BatchNorm(), (3,), (3,), SCALED, by_state, RUNNING, by_batch),
    "BatchNorm, other numbers": Case(
        cr.BatchNorm(momentum=0.5, epsilon=0.1), (3,), (3,), SCALED,
        lambda x, p: by_state(x, p, 0.1), RUNNING, lambda x, p: by_batch(x, p, 0.1),
    ),
    "BatchNorm of pictures": Case(cr.BatchNorm(), (2, 4, 3), (2, 4, 3), SCALED, by_state, RUNNING, by_batch),
    "LayerNorm": Case(cr.LayerNorm(), (3,), (3,), SCALED, by_sample),
    "LayerNorm over time": Case(cr.LayerNorm(), (5, 3), (5, 3), SCALED, by_sample),
    "Dropout": Case(cr.Dropout(0.5), (3,), (3,), {}, unchanged, random=True),
    "Dropout, none": Case(cr.Dropout(0), (3,), (3,), {}, unchanged),
    "Dropout of pictures": Case(cr.Dropout(0.2), (2, 4, 3), (2, 4, 3), {}, unchanged, random=True),
    "Sparsity": Case(cr.Sparsity(0.2), (3,), (3,), {}, lambda x, p: x),
    "GaussianCode": Case(cr.GaussianCode(), (4,), (2,), {}, lambda x, p: x[..., :2], random=True),
    "GaussianNoise": Case(cr.GaussianNoise(0.5), (3,), (3,), {}, unchanged, random=True),
    "GaussianNoise, none": Case(cr.GaussianNoise(0), (3,), (3,), {}, unchanged),
    "WeightNoise": Case(cr.WeightNoise(cr.Dense(3), 0.3), (4,), (3,), W43, dense(), random=True),
    "WeightNoise in a chain": Case(
        cr.WeightNoise(cr.Chain(cr.Dense(4, cr.tanh), cr.LayerNorm(), cr.Dense(3, bias=False)), 0.3), (2,), (3,),
        {"0.weight": (2, 4), "0.bias": (4,), "1.scale": (4,), "1.shift": (4,), "2.weight": (4, 3)},
        lambda x, p: by_sample(np.tanh(x @ p["0.weight"] + p["0.bias"]), {"scale": p["1.scale"], "shift": p["1.shift"]})
        @ p["2.weight"], random=True,
    ),
    "All of them": Case(
        cr.Chain(cr.GaussianNoise(0.1), cr.Dense(3, bias=False), cr.BatchNorm(), cr.tanh, cr.Dropout(0.3)), (4,), (3,),
        {"1.weight": (4, 3), "2.scale": (3,), "2.shift": (3,)},
        lambda x, p: np.tanh(by_state(x @ p["1.weight"], {name[2:]: p[name] for name in p if name[0] == "2"})),
        {"2.mean": (3,), "2.variance": (3,)}, random=True,
    ),
    **IMAGE_CASES,
    **SEQUENCE_CASES,
}  # fmt: skip
