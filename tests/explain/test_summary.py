from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from tests.explain.making import Convolution, adversarial, classes, numbers, pool


def test_layers_shapes_and_counts() -> None:
    data = classes(4, 64, 10)
    model = cr.Chain(cr.Reshape((8, 8, 1)), Convolution(4), pool, cr.Flatten(), cr.Dense(10))
    text = cr.prepare(model, data, optimizer=cr.optimizers.SGD(0.1)).summary()
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["layer", "in", "→", "out", "parameters"]
    assert lines[2:7] == [
        ["0", "Reshape", "64", "→", "8×8×1"],
        ["1", "Convolution", "8×8×1", "→", "8×8×4", "40", "weight", "3×3×1×4,", "bias", "4"],
        ["2", "pool", "8×8×4", "→", "4×4×4"],
        ["3", "Flatten", "4×4×4", "→", "64"],
        ["4", "Dense", "64", "→", "10", "650", "weight", "64×10,", "bias", "10"],
    ]
    assert text.splitlines()[-1] == "690 parameters in 4 arrays: 2.7 kB as float32"


@pytest.mark.tiny
def test_a_shared_layer_is_counted_once() -> None:
    shared = cr.Dense(3, cr.tanh)
    run = cr.prepare(cr.Chain(shared, shared, cr.Dense(1)), numbers(), dtype="float64")
    text = run.summary()
    total = sum(array.size for array in run.parameters.values())
    assert total == 16
    assert "applied 2 times" in text
    assert len(text.splitlines()) == 6
    assert text.count("12  weight 3×3, bias 3") == 1
    assert "16 parameters in 4 arrays: 128 B as float64" in text


def test_several_models_and_a_model_of_one_layer() -> None:
    text = cr.prepare(adversarial(), numbers()).summary()
    for word in ("generator.0", "judge.1", "Dense(leaky_relu)", "applied 3 times", "of optimizer memory"):
        assert word in text
    assert "model  Dense  3 → 1" in cr.prepare(cr.Dense(1), numbers()).summary()
    one = cr.prepare(cr.Dense(1, bias=False), numbers(inputs=1), optimizer=cr.optimizers.SGD(0.1)).summary()
    assert one.endswith("1 parameter in 1 array: 4 B as float32")


def test_the_counts_of_the_table_sum_to_the_total() -> None:
    data = cr.data.Dataset(np.zeros((2, 784)), np.arange(2), classes=tuple("0123456789"))
    run = cr.prepare(cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10)), data)
    text = run.summary()
    assert "235,500" in text
    assert "238,510 parameters in 4 arrays: 932 kB as float32" in text
    assert max(map(len, text.splitlines())) <= 100
