"""Exciting inputs, maps of samples, and the surest mistakes."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Dataset
from chainrule.errors import ConfigurationError, DataError
from chainrule.explain import inside
from chainrule.explain.inside import view
from chainrule.explain.inside.embedding import penultimate
from tests.explain.inside.networks import crosses, dense, trained


def test_an_exciting_input_excites() -> None:
    run, test = trained()
    found = inside.excite(run, [2, 5])
    assert found.inputs.shape == (2, 8, 8, 1)
    assert found.scores.shape == (2, 129)
    raw = found.inputs / np.asarray(run.preparation.scale)
    np.testing.assert_allclose(run.outputs(raw)[[0, 1], [2, 5]], found.scores[:, -1], rtol=1e-6)
    # It says more to the unit than any sample does, and the network takes it for that class.
    assert (found.scores[:, -1] > run.outputs(test.inputs)[:, [2, 5]].max(axis=0)).all()
    assert run.predict(raw).tolist() == ["2", "5"]


def test_hidden_units_that_are_silent_at_first_are_excited_too() -> None:
    """Before a cross is there, the filter's ReLU is flat: the way up leads through what goes into it."""
    run = crosses()
    found = inside.excite(run, 0, "0", steps=300, blur=0.0, limits=(0.0, 1.0))
    assert found.scores[0, 0] < -3.9
    assert found.scores[0, -1] > found.scores[0, 0]
    assert found.inputs.min() >= 0
    assert found.inputs.max() <= 1
    hidden, _ = trained()
    units = inside.excite(hidden, None, "6", steps=30)
    assert units.inputs.shape == (16, 8, 8, 1)
    assert (units.scores[:, -1] > units.scores[:, 0]).all()


def test_outputs_behind_units_that_are_all_silent_are_excited_too() -> None:
    """Near black nothing comes through: the way up begins where something does."""
    data, _ = cr.data.load("digits")
    known = {"0.bias": np.full(8, -1.0), "1.weight": np.ones((8, 10))}
    run = cr.prepare(cr.Chain(cr.Dense(8, cr.relu), cr.Dense(10)), data, weights=known, engine="reference")
    found = inside.excite(run, [0, 3], steps=40, decay=0.0, limits=(0.0, 1.0))
    assert (found.scores[:, 0] == 0).all()
    assert (found.scores[:, -1] > 1).all()


def test_descending_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    given = view.by_input

    def backwards(*arguments: Any, **settings: Any) -> Any:
        found = given(*arguments, **settings)
        return type(found)(found.features, found.score, -found.slope)

    monkeypatch.setattr("chainrule.explain.inside.exciting.by_input", backwards)
    run, _ = trained()
    found = inside.excite(run, [2], steps=20)
    assert found.scores[0, -1] < found.scores[0, 0]


def test_the_same_seed_gives_the_same_input() -> None:
    run, _ = trained()
    one, again, other = (inside.excite(run, 1, steps=3, seed=seed).inputs for seed in (4, 4, 5))
    assert one.tobytes() == again.tobytes()
    assert not np.array_equal(one, other)


def test_a_map_by_principal_components_is_that_of_the_covariance() -> None:
    run, test = trained()
    found = inside.embedding(run, test)
    assert found.layer == "7"  # the dropout, which is still
    rows = inside.feature_maps(run, test, "7")
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    np.testing.assert_allclose(found.explained, values[::-1][:2] / values.sum(), rtol=1e-9)
    by_hand = (rows - rows.mean(0)) @ vectors[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(found.points), np.abs(by_hand), rtol=1e-6, atol=1e-9)
    assert found.points.tobytes() == inside.embedding(run, test).points.tobytes()


def test_the_layer_before_the_last_is_found_wherever_it_is() -> None:
    train, _ = cr.data.load("digits")
    models = {
        # Within the branch the shapes are the same, and the shortcut is not there yet.
        "1": cr.Chain(cr.Dense(8), cr.Residual(cr.Dense(8, cr.relu)), cr.Chain(cr.Dense(10))),
        "0": cr.Chain(cr.Dense(8, cr.relu), cr.Chain(cr.Dense(10))),
        "1.1": cr.Chain(cr.Dense(8), cr.Chain(cr.Dense(9), cr.relu, cr.Dense(10))),
        "0.0": cr.Chain(cr.Chain(cr.Dense(9), cr.Dense(10)), cr.identity),
        None: cr.Chain(cr.Dense(10)),
    }
    plain = cr.Chain(cr.Dense(8, cr.relu), cr.Residual(cr.Dense(8, cr.relu)), cr.Dense(10))
    for path, model in [*models.items(), ("1", plain)]:
        assert penultimate(cr.prepare(model, train)) == path
    assert penultimate(cr.prepare(cr.Dense(10), train)) is None
    assert inside.embedding(cr.prepare(cr.Dense(10), train), train.inputs[:20]).layer == "the input"


def test_neighbours_are_kept_by_scikit_learn_and_done_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run, test = trained()
    part = test.subset(np.arange(90))
    found = inside.embedding(run, part, method="t-sne", seed=3)
    assert (found.method, found.note) == ("t-sne", "")
    again = inside.embedding(run, part, method="t-sne", seed=3)
    assert found.points.tobytes() == again.points.tobytes()
    gaps = np.linalg.norm(found.points[:, None] - found.points[None], axis=2) + 1e9 * np.eye(90)
    assert part.labels is not None
    assert np.mean(part.labels[gaps.argmin(axis=1)] == part.labels) > 0.8

    importing = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    other = inside.embedding(run, part, method="t-sne")
    assert other.method == "pca"
    assert "scikit-learn is not installed" in other.note


def test_mistakes_are_the_surest_ones() -> None:
    run, test = trained()
    found = inside.mistakes(run, test, 5)
    probabilities, said = run.probabilities(test.inputs), run.predict(test.inputs)
    truth = np.asarray(test.classes)[test.targets]
    wrong = np.flatnonzero(said != truth)
    sure = probabilities.max(axis=1)
    assert found.count == len(wrong)
    assert found.indices.tolist() == sorted(wrong, key=lambda place: -sure[place])[:5]
    np.testing.assert_allclose(found.sure, sure[found.indices], rtol=1e-9)
    for text in ("taken for", f"{found.count:,} of {len(test):,} samples", str(found.indices[0])):
        assert text in str(found)


def test_two_classes_by_one_unit_and_no_mistakes() -> None:
    x = np.array([[-2.0], [-1.0], [1.0], [2.0], [3.0]])
    run = cr.prepare(cr.Chain(cr.Dense(1)), Dataset(x, np.array([0, 0, 1, 1, 1])), loss=cr.losses.binary_cross_entropy)
    run.set_parameters({"0.weight": np.ones((1, 1)), "0.bias": np.zeros(1)})
    assert len(inside.mistakes(run, Dataset(x, np.array([0, 0, 1, 1, 1])))) == 0
    found = inside.mistakes(run, Dataset(x, np.array([1, 0, 1, 1, 0]), classes=("0", "1")))
    assert found.indices.tolist() == [4, 0]
    assert found.said.tolist() == [1, 0]
    np.testing.assert_allclose(found.sure, 1 / (1 + np.exp([-3.0, -2.0])), rtol=1e-6)


def test_what_cannot_be_is_refused_in_words() -> None:
    run, test = dense()
    with pytest.raises(DataError, match="at least three samples, and there are 2"):
        inside.embedding(run, test.inputs[:2])
    with pytest.raises(ConfigurationError, match="method is 'pca' or 't-sne', not 'umap'"):
        inside.embedding(run, test, method="umap")
    with pytest.raises(ConfigurationError, match="there is no unit 8 in 0; there are 0 to 7"):
        inside.excite(run, 8, "0")
    with pytest.raises(ConfigurationError, match="rate is a number above 0"):
        inside.excite(run, 0, rate=0)
    with pytest.raises(ConfigurationError, match="limits are two numbers, the lower one first"):
        inside.excite(run, 0, limits=(1.0, 0.0))
    with pytest.raises(ConfigurationError, match="count is a whole number of 1 or more"):
        inside.mistakes(run, test, 0)
    numbers = cr.prepare(cr.Dense(1), cr.data.from_arrays(np.ones((4, 2)), np.arange(4.0)))
    with pytest.raises(DataError, match="mistakes are of classes, and the targets of this run are numbers"):
        inside.mistakes(numbers, cr.data.from_arrays(np.ones((4, 2)), np.arange(4.0)))
