"""What a run is given: data, losses and optimizers that are none, and data that it could only misread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors

TRAIN, TEST = cr.data.load("iris")
MODEL = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3))
LABELS: Any = TEST.targets
NAMES = np.array(TRAIN.classes)


def inputs_and(targets: Any, count: int = 30, width: int = 4, classes: Any = None) -> cr.data.Dataset:
    return cr.data.from_arrays(TEST.inputs[:count, :width], targets[:count], classes)


@pytest.mark.parametrize("data", [TRAIN.inputs, (TRAIN.inputs, TRAIN.targets), [1, 2], "iris", None])
def test_what_is_no_data_is_refused_with_the_way_to_make_some(data: Any) -> None:
    with pytest.raises(errors.DataError, match=r"not (ndarray|tuple|list|str|NoneType); chainrule.data.from_arrays"):
        cr.fit(MODEL, data)


@pytest.mark.parametrize("loss", ["mse", cr.losses.CrossEntropy, lambda outputs, targets: outputs])
def test_what_is_no_loss_is_refused(loss: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"a loss is one of chainrule\.losses"):
        cr.prepare(MODEL, TRAIN, loss=loss)


@pytest.mark.parametrize("optimizer", ["adam", cr.optimizers.SGD, 0.1])
def test_what_is_no_optimizer_is_refused(optimizer: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"an optimizer is one of chainrule\.optimizers"):
        cr.prepare(MODEL, TRAIN, optimizer=optimizer)


def test_targets_that_are_numbers_get_a_loss_for_numbers() -> None:
    assert cr.prepare(MODEL, TRAIN).loss == cr.losses.cross_entropy
    assert cr.prepare(MODEL, TRAIN.one_hot(-1, 1)).loss == cr.losses.mean_squared_error


def test_a_loss_on_probabilities_refuses_targets_that_are_none() -> None:
    with pytest.raises(errors.DataError, match="the targets go from -1 to 1; mean_squared_error"):
        cr.prepare(MODEL, TRAIN.one_hot(-1, 1), loss=cr.losses.cross_entropy)
    cr.prepare(MODEL, TRAIN.one_hot(0.1, 0.9), loss=cr.losses.cross_entropy)
    cr.prepare(MODEL, TRAIN.one_hot(-1, 1), loss=cr.losses.half_squared_error)


def test_a_data_set_is_predicted_by_its_inputs() -> None:
    run = cr.prepare(MODEL, TRAIN)
    np.testing.assert_array_equal(run.predict(TEST), run.predict(TEST.inputs))


OTHER: dict[str, tuple[Callable[[], cr.data.Dataset], type[Exception], str]] = {
    "narrow": (lambda: inputs_and(LABELS, width=3), errors.ShapeError, r"inputs of \[4\] a sample.*\[3\]"),
    "numbers": (lambda: inputs_and(TEST.inputs), errors.ShapeError, r"targets of \[\] a sample.*\[4\]"),
    "renamed": (
        lambda: inputs_and(np.array(["a", "b", "c"])[LABELS]),
        errors.DataError,
        "has a, b, c: its labels",
    ),
    "fewer": (lambda: inputs_and(NAMES[1 + (LABELS > 1)]), errors.DataError, "has versicolor, virginica: its"),
}


@pytest.mark.parametrize("case", OTHER)
def test_data_that_a_run_could_only_misread_are_refused(case: str) -> None:
    make, kind, message = OTHER[case]
    with pytest.raises(kind, match=message):
        cr.prepare(MODEL, TRAIN).evaluate(make())
    run = cr.prepare(MODEL, TRAIN)
    with pytest.raises(kind, match=message):
        run.fit(TRAIN, epochs=1, validation=make())
    assert run.epoch == 0, "the first epoch was not waited for"


def test_labels_that_only_count_are_places_in_the_classes_of_the_run() -> None:
    run = cr.prepare(MODEL, TRAIN)
    assert run.evaluate(inputs_and(LABELS)) == run.evaluate(TEST)
    assert run.evaluate(inputs_and(NAMES[LABELS], classes=TRAIN.classes)) == run.evaluate(TEST)


def test_a_schedule_is_recorded_and_a_constant_rate_is_recorded_as_it_is() -> None:
    falling = cr.fit(
        MODEL, TRAIN, epochs=2, batch_size=60, optimizer=cr.optimizers.SGD(lambda step: 0.5 / (step + 1.0))
    )
    np.testing.assert_allclose(falling.history.steps["learning_rate"], [0.5, 0.25, 0.5 / 3, 0.125], rtol=1e-6)
    constant = cr.fit(MODEL, TRAIN, epochs=1, optimizer=cr.optimizers.SGD(0.1))
    assert constant.history.epochs[0]["learning_rate"] == 0.1


def test_a_step_lists_what_it_records_before_its_new_state() -> None:
    run = cr.prepare(MODEL, TRAIN)
    assert run.spec is not None
    names = list(run.built(run.spec, 32)[0].graph.outputs)
    assert names[:2] == ["loss", "accuracy"]
    assert names[-1] == "step"


def test_what_cannot_be_saved_leaves_nothing_behind(tmp_path: Path) -> None:
    run = cr.prepare(cr.Chain(lambda x: x, cr.Dense(3)), TRAIN)
    with pytest.raises(errors.ConfigurationError, match="cannot be written"):
        run.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()
