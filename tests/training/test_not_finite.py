"""A step that is not finite: it is not taken, the node is named, and the run can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import NotFiniteError
from chainrule.graph.composites import is_finite
from chainrule.training import Callback, loop
from tests.training.making import line

SGD = cr.optimizers.SGD


def diverging(samples: int = 10, **settings: Any) -> tuple[NotFiniteError, cr.Run, Any]:
    """A learning rate that is far too large: the loss grows until float32 cannot hold it."""
    data = line(samples, "float32")
    with pytest.raises(NotFiniteError) as caught:
        cr.fit(cr.Chain(cr.Dense(1)), data, batch_size=5, epochs=200, optimizer=SGD(30.0, momentum=0.5), **settings)
    return caught.value, caught.value.run, data


def test_the_state_is_that_of_the_last_good_step() -> None:
    error, run, data = diverging()
    good = int(run.arrays["step"])
    assert str(error).startswith(f"step {good + 1} is not finite (loss ")
    assert all(np.isfinite(array).all() for array in run.arrays.values())
    assert len(run.history) == good
    assert np.isfinite(run.history.steps["loss"]).all()
    assert np.isfinite(run.history.steps["gradient_norm"]).all()
    assert run.stopped == "not finite"
    assert run.history.samples == good * 5 == run.epoch * 10 + run.offset
    # One step at a time, the same steps: the state is what it was after the last good one.
    again = cr.prepare(cr.Chain(cr.Dense(1)), data, batch_size=5, optimizer=SGD(30.0, momentum=0.5))

    class Stop(Callback):
        def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
            if records[-1]["step"] == good:
                training.stop("here")

    before, loop._SECONDS_PER_CALL = loop._SECONDS_PER_CALL, 0.0
    try:
        again.fit(data, epochs=200, callbacks=[Stop()])
    finally:
        loop._SECONDS_PER_CALL = before
    for name, array in run.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


def test_the_run_can_be_used_saved_and_gone_on_with(tmp_path: Path) -> None:
    _, run, data = diverging()
    assert np.isfinite(run.predict(data.inputs)).all()
    again = cr.load(run.save(tmp_path))
    assert len(again.history) == len(run.history)
    for one in (run, again):
        with pytest.raises(NotFiniteError):  # the same batch meets the same numbers
            one.fit(data, epochs=200)
        one.numbers |= {"numbers/learning_rate": 0.01, "numbers/momentum": 0.0}
        one.set_parameters({path: np.zeros_like(array) for path, array in one.parameters.items()})
        one.arrays |= {name: array * 0 for name, array in one.arrays.items() if name.startswith("optimizer/")}
        one.fit(data, epochs=one.epoch + 200)
        assert one.evaluate(data)["loss"] < 0.1
        assert one.stopped == ""
    assert run.history.steps["step"].tolist() == list(range(1, len(run.history) + 1))
    np.testing.assert_array_equal(run.parameters["0.weight"], again.parameters["0.weight"])


def test_the_first_node_is_named_with_its_layer() -> None:
    """The layer that makes the NaN is named, not the loss in which it shows."""

    def broken(x: cr.Node) -> cr.Node:
        return graph.log(x - 100.0)

    data = line(10, "float32")
    with pytest.raises(NotFiniteError, match=r"first NaN in log of 1, float32\[5, 4\]") as caught:
        cr.fit(cr.Chain(cr.Dense(4), broken, cr.Dense(1)), data, batch_size=5)
    assert "step 1 is not finite (loss nan)" in str(caught.value)
    assert "A smaller learning rate, scaled inputs, or gradient clipping" in str(caught.value)


def test_a_gradient_alone_can_be_infinite() -> None:
    """√x at 0 is 0, and its slope infinite: the step is not taken though the loss is finite."""
    unit = cr.Chain(cr.Dense(1, bias=False, weight=cr.initializers.Constant(0.0)))

    @cr.step
    def root(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = graph.sum(graph.power(state.apply(unit, batch["x"]), 0.5))
        state.descend(loss, unit, SGD(0.1))
        return {"loss": loss}

    with pytest.raises(NotFiniteError, match=r"\(loss 0\): first infinite in power of the graph \(backward\)"):
        cr.fit(root, {"x": np.ones((4, 2), np.float32)}, epochs=1)


def test_an_infinity_that_is_meant_is_not_blamed() -> None:
    """A graph that compares with infinity is not where the NaN came from."""
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def careful(state: Any, batch: Any) -> dict[str, cr.Node]:
        y = state.apply(unit, batch["x"])
        fine = graph.select(is_finite(y), y, 0.0)
        loss = graph.sum(fine) + graph.sum(graph.log(-(fine**2)))
        state.descend(loss, unit, SGD(0.1))
        return {"loss": loss}

    with pytest.raises(NotFiniteError, match="first NaN in log of the graph"):
        cr.fit(careful, {"x": np.ones((4, 2), np.float32)}, epochs=1)


def test_data_that_are_not_finite_are_named() -> None:
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def plain(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = graph.sum(state.apply(unit, batch["x"]) ** 2)
        state.descend(loss, unit, SGD(0.1))
        return {"loss": loss}

    with pytest.raises(NotFiniteError, match="first NaN in the input data/x"):
        cr.fit(plain, {"x": np.array([[1.0], [np.nan]], np.float32)}, epochs=1)


def test_callbacks_hear_of_good_steps_alone() -> None:
    heard: list[float] = []

    class Listen(Callback):
        ended = False

        def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
            heard.extend(record["loss"] for record in records)

        def on_end(self, training: Any) -> None:
            self.ended = True

    listen = Listen()
    _, run, _ = diverging(callbacks=[listen])
    assert np.isfinite(heard).all()
    assert len(heard) == len(run.history)
    assert listen.ended


def test_of_two_descents_one_that_is_not_finite_stops_both() -> None:
    good, bad = cr.Chain(cr.Dense(1), name="good"), cr.Chain(cr.Dense(1), name="bad")

    @cr.step
    def both(state: Any, batch: Any) -> dict[str, cr.Node]:
        fine = graph.sum(state.apply(good, batch["x"]) ** 2)
        state.descend(fine, good, SGD(0.1))
        wrong = graph.sum(graph.log(-(state.apply(bad, batch["x"]) ** 2)))
        state.descend(wrong, bad, SGD(0.1))
        return {"loss": fine}

    data = {"x": np.ones((4, 2), np.float32)}
    before = cr.prepare(both, data).arrays
    with pytest.raises(NotFiniteError) as caught:
        cr.fit(both, data)
    for name, array in caught.value.run.arrays.items():
        np.testing.assert_array_equal(array, before[name])
