"""Augmentations in a training: a list, kept with the run, in training alone, and no gradient goes through them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.augmentation import (
    Augmentations,
    Brightness,
    Contrast,
    CutMix,
    Cutout,
    Elastic,
    Flip,
    Mixup,
    PixelNoise,
    Rotate,
    Shift,
)
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.training.building import build_step
from chainrule.training.feeding import feed

ALL: list[Any] = [
    Shift(1), Rotate(10, outside="reflect"), Elastic(8, 2), Flip(), Brightness(0.1), Contrast(0.2), Cutout(2),
    PixelNoise(0.05), CutMix(0.5), Mixup(0.2),
]  # fmt: skip


def model() -> Any:
    return cr.Chain(cr.Flatten(), cr.Dense(8, cr.tanh), cr.Dense(10))


def test_a_list_trains_the_same_on_both_engines_and_is_kept(tmp_path: Path) -> None:
    train, test = cr.data.load("digits", images=True)
    few = train.subset(np.arange(96))
    settings: dict[str, Any] = {"augmentation": ALL, "epochs": 2, "batch_size": 32, "dtype": "float64"}
    native, reference = (cr.fit(model(), few, engine=engine, **settings) for engine in ("native", "reference"))
    for name, array in native.arrays.items():
        np.testing.assert_allclose(array, reference.arrays[name], rtol=1e-8, atol=1e-9, err_msg=name)
    native.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run")
    assert loaded.augmentation == Augmentations(*ALL)
    plain = cr.prepare(model(), few, dtype="float64")
    plain.set_parameters(loaded.parameters)
    assert plain.evaluate(test) == loaded.evaluate(test)
    for run in (native, loaded):
        run.fit(few, epochs=3)
    assert all(loaded.arrays[name].tobytes() == array.tobytes() for name, array in native.arrays.items())


def test_no_gradient_goes_through_images() -> None:
    train, _ = cr.data.load("digits", images=True)
    counted = []
    for augmentation in ([], ALL):
        run = cr.prepare(model(), train, augmentation=augmentation)
        spec, _ = feed(train, run.preparation, run.classes)
        built = build_step(run.step, spec, 32)
        counted.append(sum(node.op == "scatter_add" for node in built.graph.nodes))
    assert counted[0] == counted[1]


def test_what_does_not_fit_is_refused_before_the_first_step() -> None:
    train, _ = cr.data.load("digits")
    with pytest.raises(ShapeError, match=r"Shift changes images.*got \[32, 64\]; load them as images"):
        cr.prepare(cr.Chain(cr.Dense(10)), train, augmentation=[Shift(1)])
    with pytest.raises(ConfigurationError, match=r"entry 1 is one of chainrule\.augmentation"):
        cr.prepare(cr.Chain(cr.Dense(10)), train, augmentation=[Mixup(1.0), 3])  # type: ignore[list-item]
