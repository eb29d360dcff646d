"""Models by name: as large as they were published, layer by layer, and able to learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph, models
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.graph import Build, Graph
from chainrule.keys import Key
from chainrule.layers import Record, Scope
from chainrule.models.codes import DIGITS
from chainrule.models.lenet import TABLE


def declared(model: cr.Chain, shape: tuple[int, ...], training: bool = False) -> Record:
    with Build():
        record = Record("float32")
        Scope(record, training=training).apply(model, graph.input("x", shape), name="")
    return record


def count(record: Record, below: str = "") -> int:
    start = f"parameters/{below}"
    return sum(math.prod(one.shape) for name, one in record.declared.items() if name.startswith(start))


@pytest.mark.parametrize(
    ("model", "shape", "published"),
    [
        (models.simple_cnn(), (28, 28, 1), 421_642),
        (models.resnet20(), (32, 32, 3), 269_722),
        (models.resnet20(projections=True), (32, 32, 3), 272_474),
        (models.mobile(1000, (224, 224, 3), width=1.0), (224, 224, 3), 4_231_976),
        (models.lenet5(), (28, 28, 1), 60_000 + 850),
        (models.lenet5(10, (32, 32, 1), distances=True), (32, 32, 1), 60_000),
    ],
)  # fmt: skip
def test_models_are_as_large_as_published(model: cr.Chain, shape: tuple[int, ...], published: int) -> None:
    assert count(declared(model, (2, *shape))) == published


@pytest.mark.parametrize(("width", "millions"), [(1.0, 4.2), (0.75, 2.6), (0.5, 1.3), (0.25, 0.5)])
def test_mobile_of_each_width_is_as_large_as_in_its_paper(width: float, millions: float) -> None:
    """Table 6."""
    model = models.mobile(1000, (224, 224, 3), width=width)
    assert round(count(declared(model, (1, 224, 224, 3))) / 1e6, 1) == millions


def test_lenet_is_that_of_the_paper_layer_by_layer() -> None:
    record = declared(models.lenet5(), (1, 784))
    sizes = {"3.": 156, "4.": 12, "5.": 1516, "6.": 32, "7.": 48_120, "9.": 10_164, "10.": 850}
    assert {place: count(record, place) for place in sizes} == sizes
    shapes = {one.path: one.output[1:] for one in record.applied}
    assert shapes["3"] == (28, 28, 6)
    assert shapes["4"] == (14, 14, 6)
    assert shapes["5"] == (10, 10, 16)
    assert shapes["6"] == (5, 5, 16)
    assert shapes["7"] == (1, 1, 120)
    # Table I: six maps see three that follow each other, six see four that do, three see two pairs, one sees all.
    triples, quadruples, pairs = TABLE[:6], TABLE[6:12], TABLE[12:15]
    assert all({*row} in [{(start + n) % 6 for n in range(3)} for start in range(6)] for row in triples)
    assert all({*row} in [{(start + n) % 6 for n in range(4)} for start in range(6)] for row in quadruples)
    assert all(len(row) == 4 and {(n + 3) % 6 for n in row} == {*row} for row in pairs)
    assert TABLE[15] == tuple(range(6))
    assert len({frozenset(row) for row in TABLE}) == 16


def test_maps_of_lenet_see_what_the_table_says() -> None:
    """A change of one map of S2 reaches the maps of C3 that are connected with it, and no other."""
    table = models.lenet5().layers[5]
    with Build():
        record = Record("float64")
        x = graph.input("x", (1, 14, 14, 6), "float64")
        y = Scope(record).apply(table, x, name="")
    arrays = {name: Key(0).child(name).normal(one.shape) for name, one in record.declared.items()}
    program = ReferenceEngine().compile(Graph({"y": y}))
    image = Key(1).normal((1, 14, 14, 6))
    before = program.run({"x": image, **arrays})["y"]
    for channel in range(6):
        moved = image.copy()
        moved[..., channel] += 0.1
        reached = (program.run({"x": moved, **arrays})["y"] != before).any((0, 1, 2))
        expected = [channel in row for row in TABLE]
        assert reached.tolist() == expected


def test_first_weights_are_by_the_inputs_of_each_unit() -> None:
    data = cr.data.from_arrays(np.zeros((4, 784), np.float32), np.array([0, 1, 0, 1]))
    parameters = cr.prepare(models.lenet5(2), data, engine="reference").parameters
    limits = {"3.weight": 25, "5.weight": 75, "7.weight": 400, "9.weight": 120, "10.weight": 84}
    for name, inputs in limits.items():
        array = parameters[name][..., :18] if name == "5.weight" else parameters[name]
        assert 0.9 * 2.4 / inputs < np.abs(array).max() <= 2.4 / inputs, name
    assert np.abs(parameters["5.weight"][..., -6:]).max() <= 2.4 / 150


def test_the_drawings_are_ten_different_ones_and_distances_are_logits() -> None:
    assert len(DIGITS) == len({*DIGITS}) == 10
    assert {len(code) for code in DIGITS} == {7 * 12}
    with Build():
        y = Scope(Record("float64")).apply(
            models.CodeDistance(("##.", ".#.")), graph.input("x", (2, 3), "float64"), name=""
        )
    program = ReferenceEngine().compile(Graph({"y": y}))
    found = program.run({"x": np.array([[1.0, 1.0, -1.0], [0.0, 0.0, 2.0]])})["y"]
    np.testing.assert_array_equal(found, [[0, -4], [-(1 + 1 + 9), -(1 + 1 + 9)]])


def test_its_activation_is_one_at_one() -> None:
    program = ReferenceEngine().compile(Graph({"y": models.scaled_tanh(graph.input("x", (3,), "float64"))}))
    found = program.run({"x": np.array([-1.0, 0.0, 1.0])})["y"]
    np.testing.assert_allclose(found, [-1, 0, 1], atol=1e-4)


def test_residual_networks_halve_twice_and_mobile_leaves_seven_rows() -> None:
    for projections in (False, True):
        record = declared(models.resnet20(projections=projections), (2, 32, 32, 3))
        outputs = [one.output for one in record.applied if type(one.layer).__name__ == "Residual"]
        assert outputs == [(2, 32, 32, 16)] * 3 + [(2, 16, 16, 32)] * 3 + [(2, 8, 8, 64)] * 3
        convolutions = [one for one in record.applied if type(one.layer).__name__ == "Conv2D" and one.layer.kernel == 3]
        assert len(convolutions) == 19, "and a dense layer: 20"
    for size, last in ((224, 7), (112, 7), (32, 8), (28, 7), (8, 8)):
        record = declared(models.mobile(10, (size, size, 1)), (2, size, size, 1))
        places = [one.inputs[0] for one in record.applied if type(one.layer).__name__ == "GlobalAveragePool"]
        assert places == [(2, last, last, 256)]


def of(make: Any, *given: Any) -> Any:
    """Call with what the types would not allow."""
    return make(*given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.simple_cnn(0), "simple_cnn: outputs is a whole number above 0, not 0"),
        (lambda: models.simple_cnn(10, (3, 3, 1)), "images of 3×3 are too small, .* at least 4×4"),
        (lambda: of(models.resnet20, 10, (28, 28)), r"shape is \(height, width, channels\), such as"),
        (lambda: models.lenet5(10, (8, 8, 1)), "lenet5: its images are grey, 28×28 or 32×32, and these are 8×8×1"),
        (lambda: models.TableConv2D(()), "connections is a tuple with a tuple of different channels for each output"),
        (lambda: models.TableConv2D(((0, 0),)), r"not \(\(0, 0\),\)"),
        (lambda: models.lenet5(5, distances=True), "there are drawings of 10 digits, and 5 outputs are wanted"),
        (lambda: models.CodeDistance(("#.", "#")), "CodeDistance: codes are two or more texts of # and ., all of one"),
        (lambda: models.CodeDistance(("#a", "##")), "all of one length, not"),
        (lambda: models.mobile(width=0), "mobile: width is a number above 0, 1.0 in the paper, not 0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_model_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_models_are_saved_and_have_names(tmp_path: Path) -> None:
    data = cr.data.from_arrays(Key(0).normal((10, 28 * 28)), np.arange(10))
    made = dict(models.BY_NAME) | {"distances": lambda *given: models.lenet5(distances=True)}
    for name, make in made.items():
        model = make(10, (28, 28, 1))
        run = cr.prepare(model, data, batch_size=2, engine="reference")
        run.save(tmp_path / name)
        assert cr.load(tmp_path / name, engine="reference").model == model
        assert "parameters" in run.summary()


def test_a_small_one_learns_digits() -> None:
    train, test = cr.data.load("digits")
    run = cr.fit(models.simple_cnn(10, (8, 8, 1)), train, optimizer=cr.optimizers.Adam(), epochs=3, batch_size=32)
    assert run.evaluate(test)["accuracy"] > 0.9
