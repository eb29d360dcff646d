"""What is frozen stays: its parameters, its memory, its running statistics; the rest learns as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, RunFileError
from chainrule.layers.scope import fits
from chainrule.optimizers import SGD, Adam, Groups
from chainrule.training import StepState

TRAIN, TEST = cr.data.load("iris")


def model() -> cr.Chain:
    return cr.Chain(cr.Dense(8), cr.BatchNorm(), cr.tanh, cr.Dropout(0.5), cr.Dense(3))


def fitted(**settings: object) -> cr.Run:
    given = {"epochs": 3, "progress": False, "optimizer": Adam(0.01)} | settings
    return cr.fit(model(), TRAIN, **given)  # type: ignore[arg-type]


@pytest.mark.tiny
def test_a_pattern_is_of_a_path_or_of_a_layer_around_it() -> None:
    assert fits("0.weight", ["0"])
    assert fits("0.weight", ["0.*"])
    assert fits("0", ["0.*"])
    assert fits("encoder.0.weight", ["encoder"])
    assert fits("encoder.0.weight", ["*.weight"])
    assert not fits("10.weight", ["0", "1"])
    assert not fits("encoder.0.weight", ["0"])


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_frozen_layers_stay_and_the_others_learn(engine: str) -> None:
    before = fitted(engine=engine, epochs=1)
    after = fitted(engine=engine, weights=before, freeze=["0", "1.*"])
    for name, array in before.arrays.items():
        if not name.startswith(("parameters/", "state/")):
            continue
        same = np.array_equal(array, after.arrays[name])
        assert same == name.partition("/")[2].startswith(("0.", "1.")), name
    assert not [name for name in after.arrays if name.startswith("optimizer/") and "/0." in name]


def test_the_rest_learns_as_if_what_is_frozen_were_data() -> None:
    """Layers in front, frozen, are a preparation: the head learns the same from what they give in prediction."""
    body = cr.Chain(cr.Dense(8), cr.BatchNorm(), cr.Dropout(0.5), cr.tanh)
    first = cr.fit(body, cr.data.from_arrays(TRAIN.inputs, np.eye(3, 8)[TRAIN.targets]), epochs=2, dtype="float64")
    head = {"weight": np.full((8, 3), 0.1), "bias": np.zeros(3)}
    known = {name.partition("/")[2]: array for name, array in first.arrays.items() if not name.startswith("optimizer")}
    weights = {f"0.{path}": array for path, array in known.items() if path}

    def learned(layers: list[Any], data: cr.data.Dataset, path: str, freeze: Sequence[str] = ()) -> Any:
        given = weights | {f"{path}.{name}": array for name, array in head.items()}
        found = cr.fit(
            cr.Chain(*layers), data, weights=given, freeze=freeze, optimizer=SGD(0.1, momentum=0.9), epochs=3,
            dtype="float64", engine="reference", progress=False,
        )  # fmt: skip
        return found.parameters[f"{path}.weight"]

    raw = cr.data.from_arrays(TRAIN.inputs, TRAIN.targets, TRAIN.classes)
    seen = cr.data.from_arrays(first.outputs(TRAIN.inputs), TRAIN.targets, TRAIN.classes)
    alone = learned([cr.Dense(3)], seen, "0")
    np.testing.assert_allclose(learned([body, cr.Dense(3)], raw, "1", ["0"]), alone, rtol=1e-9)
    # Without, or with the parameters alone and not the layers, it is another training.
    for other in ((), ("0.*.weight", "0.*.bias", "0.1.scale", "0.1.shift")):
        assert not np.allclose(learned([body, cr.Dense(3)], raw, "1", other), alone, rtol=1e-3)


def test_one_array_of_a_layer_may_be_frozen_alone() -> None:
    before = fitted(epochs=1)
    after = fitted(weights=before, freeze=["*.bias"])
    assert {path for path, array in after.parameters.items() if np.array_equal(array, before.parameters[path])} == {
        "0.bias", "4.bias",
    }  # fmt: skip
    # The layers themselves learn, and so their statistics run.
    assert not np.array_equal(before.arrays["state/1.mean"], after.arrays["state/1.mean"])


def test_penalties_and_groups_are_of_what_learns() -> None:
    alike = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    run = cr.prepare(alike, TRAIN, freeze=["0"], regularizer=cr.regularizers.L2(1.0))
    weight = run.parameters["1.weight"]
    run.fit(TRAIN, steps=1, progress=False)
    assert run.history.column("penalty")[0] == pytest.approx(0.5 * (weight**2).sum(), rel=1e-5)
    with pytest.raises(ConfigurationError, match=r"'0\.\*' fits no parameter that is left"):
        cr.prepare(alike, TRAIN, freeze=["0"], optimizer=Groups({"0.*": SGD(0.1)}, otherwise=Adam()))


def test_layers_learn_at_rates_of_their_own() -> None:
    alike = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    slow = Groups({"0.*": SGD(0.001)}, otherwise=SGD(0.1))
    first = cr.prepare(alike, TRAIN)
    moved = {
        rate: cr.fit(alike, TRAIN, weights=first, optimizer=rate, steps=1, progress=False).parameters
        for rate in (slow, SGD(0.1))
    }
    near, far = (moved[rate]["0.weight"] - first.parameters["0.weight"] for rate in (slow, SGD(0.1)))
    np.testing.assert_allclose(near, far / 100, atol=1e-6)
    np.testing.assert_array_equal(moved[slow]["1.weight"], moved[SGD(0.1)]["1.weight"])


@pytest.mark.parametrize(
    ("optimizer", "size"),
    [
        (cr.optimizers.LBFGS(), None),
        (cr.optimizers.KFAC(), 50),
        (cr.optimizers.EvolutionStrategy(), 50),
        (cr.optimizers.GeneticAlgorithm(), 50),
        (cr.optimizers.Compose(Adam(), cr.optimizers.Averaging(0.9)), 50),
    ],
    ids=lambda one: type(one).__name__,
)
def test_learners_of_every_kind_leave_what_is_frozen(optimizer: Any, size: int | None) -> None:
    alike = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    settings: dict[str, Any] = {"optimizer": optimizer, "batch_size": size, "engine": "reference", "freeze": ["0"]}
    before = cr.prepare(alike, TRAIN, **settings)
    after = cr.fit(alike, TRAIN, epochs=2, progress=False, **settings)
    for path, array in before.parameters.items():
        assert np.array_equal(array, after.parameters[path]) == path.startswith("0."), path


def test_a_step_of_ones_own_freezes_too() -> None:
    body, head = cr.Chain(cr.Dense(8, cr.tanh), name="body"), cr.Chain(cr.Dense(3), name="head")

    def both(state: StepState, batch: cr.training.Batch) -> dict[str, cr.Node]:
        outputs = state.apply(head, state.apply(body, batch.inputs))
        loss = cr.losses.cross_entropy(outputs, batch.targets)
        state.descend(loss, [body, head], SGD(0.1))
        return {"loss": loss}

    before = cr.prepare(cr.step(both), TRAIN)
    after = cr.fit(cr.step(both), TRAIN, freeze=["body"], epochs=1, progress=False)
    assert np.array_equal(before.parameters["body.0.weight"], after.parameters["body.0.weight"])
    assert not np.array_equal(before.parameters["head.0.weight"], after.parameters["head.0.weight"])

    def late(state: StepState, batch: cr.training.Batch) -> dict[str, cr.Node]:
        outputs = state.apply(body, batch.inputs)
        state.freeze("body")
        return {"loss": outputs}

    with pytest.raises(ConfigurationError, match="freeze comes before the first apply"):
        cr.prepare(cr.step(late), TRAIN)


def test_a_run_that_is_saved_stays_frozen(tmp_path: Path) -> None:
    whole = fitted(freeze=["0", "1"], epochs=4)
    cut = fitted(freeze=["0", "1"], epochs=2)
    again = cr.load(cut.save(tmp_path / "run"))
    assert again.frozen == ("0", "1")
    again.fit(TRAIN, epochs=4, progress=False)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name], err_msg=name)
    told = tmp_path / "run" / "run.toml"
    told.write_text(told.read_text().replace('"0",', "7,"))
    with pytest.raises(RunFileError, match=r"freeze is .* no list of patterns"):
        cr.load(tmp_path / "run")


def test_a_summary_says_what_is_frozen_and_a_diagnosis_does_not_complain() -> None:
    run = fitted(freeze=["0", "1"], epochs=20)
    assert "56 frozen; " in run.summary()
    assert run.summary().count("; frozen") == 2
    assert run.diagnose(TRAIN, curvature=False).healthy
    assert run.check(TEST).passed


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        (["7"], "'7' fits no parameter; there are 0.weight, 0.bias, 1.scale"),
        (["*"], r"nothing to learn: all is frozen, by \*"),
        ("0", r"freeze is a list of patterns of paths, such as .*, not '0'"),
        ([0], r"freeze takes patterns of paths, such as .*, not 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(freeze: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        cr.prepare(model(), TRAIN, freeze=freeze)  # type: ignore[arg-type]
