"""Images to be changed, and the changing of them on an engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.augmentation import Augmentation, Samples
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import Graph
from chainrule.keys import Key
from chainrule.layers import Record, Scope

Array = NDArray[Any]


def some_images(*shape: int, seed: int = 0) -> Array:
    return Key(seed).uniform(shape)


def scope_at(step: int = 0, dtype: str = "float64", seed: int = 0) -> Scope:
    key = graph.random_bits(graph.constant(np.uint32(seed)), graph.constant(np.uint32(step)), "step")
    return Scope(Record(dtype, seed=key), "augmentation")


def changed(
    augmentation: Augmentation,
    images: Array,
    step: int = 0,
    dtype: str = "float64",
    engine: str = "reference",
    seed: int = 0,
) -> Array:
    """What an augmentation makes of images in one step."""
    return everything(augmentation, images, step, dtype, engine, seed)["x"]


def everything(
    augmentation: Augmentation,
    images: Array,
    step: int = 0,
    dtype: str = "float64",
    engine: str = "reference",
    seed: int = 0,
) -> dict[str, Array]:
    labels = graph.iota(len(images))
    x = graph.input("images", images.shape, dtype)
    found = augmentation.apply(scope_at(step, dtype, seed), Samples(x, ((labels, None),)))
    nodes = {"x": found.inputs}
    for place, (targets, weights) in enumerate(found.goals):
        nodes[f"t{place}"] = targets
        if weights is not None:
            nodes[f"w{place}"] = weights
    made = NativeEngine() if engine == "native" else ReferenceEngine()
    return made.compile(graph.verify(Graph(nodes))).run({"images": images.astype(dtype)})
