"""Models that make samples of noise are found, and how unlike their samples are is what NumPy says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain.health.measures import Probe
from chainrule.explain.health.rules.case import Case
from chainrule.explain.health.rules.flow import saturated_units
from chainrule.explain.health.variety import variety
from tests.explain.health.trainings import adversaries


@pytest.mark.tiny
def test_the_measure_is_that_of_distances_taken_one_by_one() -> None:
    made, real = (np.random.default_rng(seed).normal(size=(20, 3, 2)) * size for seed, size in ((1, 0.5), (2, 2.0)))

    def nearest(x: Any) -> float:
        rows = x.reshape(20, -1)
        apart = [min(np.linalg.norm(a - b) for n, b in enumerate(rows) if n != m) for m, a in enumerate(rows)]
        return float(np.sqrt(np.median(np.square(apart))))

    found = variety("artist", made, real)
    assert found.nearest == pytest.approx(nearest(made) / nearest(real), rel=1e-9)
    assert found.spread == pytest.approx(_spread(made) / _spread(real))
    assert variety("", real, real).nearest == 1
    few = np.repeat(real[:4], 5, axis=0)
    assert variety("", few, real).nearest == pytest.approx(0, abs=1e-6)
    assert variety("", few, real).spread > 0.5


def _spread(x: Any) -> float:
    return float(np.sqrt(x.reshape(len(x), -1).var(axis=0).sum()))


def test_drawings_may_be_black_and_white_but_what_leads_to_them_may_not() -> None:
    """A sigmoid at the end of what draws is at its ends where it is right; in the middle of it nothing would learn."""
    run, data = adversaries(epochs=1)
    health = Probe(run, data).look()
    assert health.ends == {"artist.2", "judge.1"}
    for path, names in (("artist.2", []), ("artist.1", ["saturated units"])):
        layers = tuple(
            dataclasses.replace(one, saturated=0.9, activation="sigmoid") if one.path == path else one
            for one in health.layers
        )
        case = Case(run, data, dataclasses.replace(health, layers=layers))
        assert [finding.name for finding in saturated_units(case, ())] == names


def test_only_what_is_made_of_noise_and_looks_like_the_data_is_a_maker() -> None:
    run, data = adversaries(epochs=1)
    assert [one.model for one in Probe(run, data).look().varieties] == ["artist"]
    # A code is drawn, but the data are behind it; a judge sees noise, but gives no images.
    images = np.asarray(data.preparation.forward(data.inputs))
    model = cr.Chain(cr.Dense(8), cr.GaussianCode(), cr.Dense(64))
    coded = cr.data.from_arrays(images, images)
    assert Probe(cr.prepare(model, coded), coded).look().varieties == ()
