"""Saliency is the gradient that differences measure, its smoothed and gathered forms are what their papers say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.protocol import Program
from chainrule.errors import ConfigurationError, DataError, ShapeError
from chainrule.explain import inside
from chainrule.gradients import RULES
from chainrule.graph import Graph, Node
from chainrule.keys import Key
from tests.explain.inside.networks import cross, crosses, dense, trained


def test_saliency_equals_differences() -> None:
    run, test = trained()
    # Where pixels are equal, the largest of a window has a corner.
    raw = test.inputs[:3] + Key(0).uniform((3, 8, 8, 1))
    found = inside.saliency(run, raw, [4, 4, 9])
    scale, step = float(np.asarray(run.preparation.scale)), 1e-5
    for sample, unit, place in ((0, 4, (3, 3, 0)), (1, 4, (5, 2, 0)), (2, 9, (2, 6, 0)), (2, 9, (4, 4, 0))):
        moved = np.repeat(raw[sample : sample + 1], 2, axis=0)
        moved[(0, *place)] += step
        moved[(1, *place)] -= step
        up, down = run.outputs(moved)[:, unit]
        assert found[(sample, *place)] == pytest.approx((up - down) / (2 * step * scale), rel=1e-5, abs=1e-8)


def test_a_gradient_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(g: Node, y: Node, x: Node, **settings: object) -> tuple[Node | None]:
        (slope,) = given(g, y, x, **settings)
        assert slope is not None
        return (slope * 1.01,)

    given = RULES["window"]
    right = crosses()
    before = inside.saliency(right, cross(4, 4), "cross")
    monkeypatch.setitem(RULES, "window", shifted)
    wrong = inside.saliency(crosses(), cross(4, 4), "cross")
    assert not np.allclose(before, wrong)
    whole = float(right.outputs(cross(4, 4))[0, 0] - right.outputs(cross(4, 4) * 0)[0, 0])
    summed = inside.integrated_gradients(crosses(), cross(4, 4), "cross", steps=400).sum()
    assert summed != pytest.approx(whole, rel=5e-3), "the law of completeness sees it too"


@pytest.mark.parametrize("baseline", [0.0, np.full((8, 8, 1), 0.3)])
def test_integrated_gradients_are_complete(baseline: Any) -> None:
    train, test = cr.data.load("digits", images=True)
    smooth = cr.Chain(cr.Conv2D(4, 3, cr.tanh), cr.AveragePool2D(2), cr.Flatten(), cr.Dense(10))
    runs = [(cr.prepare(smooth, train, dtype="float64", engine="reference"), 32, 1e-9), (trained()[0], 300, 2e-2)]
    for run, steps, error in runs:  # a ReLU makes corners on the way, and an integral over them is not so exact
        found = inside.integrated_gradients(run, test.inputs[:4], "3", baseline=baseline, steps=steps)
        ends = np.broadcast_to(np.asarray(baseline) / run.preparation.scale, (4, 8, 8, 1))
        whole = run.outputs(test.inputs[:4].astype(np.float64))[:, 3] - run.outputs(np.array(ends))[:, 3]
        np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), whole, rtol=error, atol=error)
        plain = inside.saliency(run, test.inputs[:4], "3") * (run.preparation.forward(test.inputs[:4]) - baseline)
        assert not np.allclose(plain.sum(axis=(1, 2, 3)), whole, rtol=error, atol=error), "which the gradient is not"


def test_of_a_linear_network_every_form_is_the_weight() -> None:
    train, test = cr.data.load("iris")
    run = cr.prepare(cr.Chain(cr.Dense(3)), train)
    weight = run.parameters["0.weight"]
    samples = test.inputs[:5]
    for form in (inside.saliency, inside.smooth_saliency):
        np.testing.assert_allclose(form(run, samples, "versicolor"), np.tile(weight[:, 1], (5, 1)), rtol=1e-5)
    parts = inside.integrated_gradients(run, samples, 1)
    np.testing.assert_allclose(parts, run.preparation.forward(samples) * weight[:, 1], rtol=1e-4, atol=1e-6)


def test_without_an_output_each_sample_is_asked_for_what_it_is_taken_for() -> None:
    run, test = trained()
    said = run.outputs(test.inputs[:6]).argmax(axis=1)
    assert len(set(said.tolist())) > 1
    np.testing.assert_array_equal(inside.saliency(run, test.inputs[:6]), inside.saliency(run, test.inputs[:6], said))
    by_name = inside.saliency(run, test.inputs[:1], str(said[0]))
    np.testing.assert_array_equal(by_name, inside.saliency(run, test.inputs[:1], int(said[0])))


def test_noise_follows_from_the_seed_and_none_is_the_gradient() -> None:
    run, test = trained()
    one, again, other = (inside.smooth_saliency(run, test.inputs[:2], 3, samples=4, seed=seed) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert not np.allclose(one, other)
    silent = inside.smooth_saliency(run, test.inputs[:2], 3, samples=3, noise=0.0)
    np.testing.assert_allclose(silent, inside.saliency(run, test.inputs[:2], 3), rtol=1e-12)


def test_prediction_mode_many_samples_and_both_engines() -> None:
    """Dropout is still and a batch's normalisation knows no other sample: a row does not depend on its company."""
    run, test = trained()
    many = inside.saliency(run, test.inputs[:131], 2)
    np.testing.assert_allclose(many[130:], inside.saliency(run, test.inputs[130:131], 2), rtol=1e-9, atol=1e-12)
    assert np.any(many[130])
    slow, fast = (
        inside.saliency(crosses("float32", engine), cross(3, 4), "cross") for engine in ("reference", "native")
    )
    np.testing.assert_allclose(fast, slow, rtol=1e-5)


def test_one_program_serves_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    run = crosses()
    compiled: list[Graph] = []
    given = run.engine.compile

    def counted(graph: Graph) -> Program:
        compiled.append(graph)
        return given(graph)

    monkeypatch.setattr(run.engine, "compile", counted)
    for row in (2, 3, 4):
        inside.saliency(run, cross(row, 4), "cross")
        inside.saliency(run, cross(row, 4), 1)
    assert len(compiled) == 1
    run.set_parameters({"2.weight": 2 * np.eye(2)})
    np.testing.assert_allclose(
        inside.saliency(run, cross(4, 4), 0), 2 * inside.saliency(crosses(), cross(4, 4), 0), rtol=1e-12
    )


def test_what_cannot_be_is_refused_in_words() -> None:
    run, test = dense()
    with pytest.raises(ConfigurationError, match="there is no class 'rose'; the run has the classes setosa, "):
        inside.saliency(run, test, "rose")
    with pytest.raises(ConfigurationError, match="there is no unit 3 in the output; there are 0 to 2"):
        inside.saliency(run, test, 3)
    with pytest.raises(ConfigurationError, match="a number for each of the 2 samples"):
        inside.saliency(run, test.inputs[:2], [0, 1, 2])
    with pytest.raises(ShapeError, match=r"samples are \(samples, 4\), and these are \[4\]; a single one is given as"):
        inside.saliency(run, test.inputs[0])
    with pytest.raises(DataError, match="there are no samples"):
        inside.saliency(run, test.inputs[:0])
    with pytest.raises(DataError, match="nan is not a finite number"):
        inside.saliency(run, np.full((1, 4), np.nan))
    with pytest.raises(ShapeError, match=r"a baseline is a number, or a sample of \[4\], not \[3\]"):
        inside.integrated_gradients(run, test, baseline=np.zeros(3))
    with pytest.raises(ConfigurationError, match="steps is a whole number of 1 or more, not 0"):
        inside.integrated_gradients(run, test, steps=0)
    with pytest.raises(ConfigurationError, match="noise is a share"):
        inside.smooth_saliency(run, test, noise=-1)
    own = cr.prepare(_own(), {"x": np.ones((4, 2), np.float32)})
    with pytest.raises(ConfigurationError, match="the step own has no single model to look into"):
        inside.saliency(own, np.ones((1, 2)))


def _own() -> cr.training.Step:
    model = cr.Chain(cr.Dense(1))

    @cr.step
    def own(state: cr.training.StepState, batch: cr.training.Batch) -> dict[str, Node]:
        output = state.apply(model, batch["x"])
        loss = cr.graph.sum(output * output)
        state.descend(loss, model, cr.optimizers.SGD(0.1))
        return {"loss": loss}

    return own
