"""The networks that speed is measured with: described once, counted, and built and trained by chainrule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from benchmarks.speed.data import read, write_data
from benchmarks.speed.figures import largest_difference
from benchmarks.speed.network import (
    Activation,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    Layer,
    MaxPool,
    Residual,
    Shape,
    operations,
    output,
    parameters,
    residual_block,
    stack,
    without_dropout,
)
from benchmarks.speed.peers import chainrule_peer, peers
from benchmarks.speed.workload import Given, Update, Workload, batches, first_parameters
from benchmarks.speed.workloads import WORKLOADS

IMAGES = (
    *(Convolution(4), Activation("relu"), MaxPool(2)),
    *(residual_block(6, stride=2) + residual_block(6)),
    *(GlobalAverage(), Dense(3)),
)
SMALL = {
    "dense": Workload(
        "dense", "", (6,), stack((5, 4, 3), normalized=True, dropout=0.2), Update("adam", 0.01), 8, bar=1.0, aim=2.0
    ),
    "images": Workload("images", "", (8, 8, 1), IMAGES, Update("momentum", 0.05), 8, bar=1.0, aim=2.0),
    "flat": Workload(
        "flat",
        "",
        (5, 5, 2),
        (Convolution(3, 3, 2), Activation("sigmoid"), Flatten(), Dense(3)),
        Update("plain", 0.1),
        8,
        bar=1.0,
        aim=2.0,
    ),
}


# ---- what a description says ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unknown(Layer):
    """A layer that no peer knows."""


@pytest.mark.parametrize(("name", "count"), [("lenet", 421_642), ("resnet20", 272_474), ("mlp-128", 238_510)])
def test_a_row_has_the_parameters_of_its_network(name: str, count: int) -> None:
    assert sum(math.prod(p.shape) for p in WORKLOADS[name].parameters) == count


@pytest.mark.parametrize("name", [name for name, w in WORKLOADS.items() if w.loss == "cross_entropy"])
def test_a_row_ends_with_logits(name: str) -> None:
    assert WORKLOADS[name].outputs[-1] in (2, 10, 65)


def test_operations_count_padded_taps_and_no_gradient_of_the_data() -> None:
    first, second = 28 * 28 * 9 * 32, 14 * 14 * 9 * 32 * 64
    dense = 3136 * 128 + 1280
    assert WORKLOADS["lenet"].operations == 64 * 2 * (2 * first + 3 * (second + dense))


def test_both_ways_of_a_residual_are_counted() -> None:
    network = residual_block(8, stride=2)
    inside = 16 * (9 * 4 * 8 + 9 * 8 * 8)
    assert operations(network, (8, 8, 4), reached=True) == 6 * (inside + 16 * 4 * 8)
    # Of the data no gradient is taken, whichever way they go.
    first, second, around = 16 * 9 * 4 * 8, 16 * 9 * 8 * 8, 16 * 4 * 8
    assert operations(network, (8, 8, 4)) == 4 * first + 6 * second + 4 * around


def test_the_parameters_of_a_residual_are_those_of_its_block_and_then_of_its_projection() -> None:
    shapes = [p.shape for p in parameters(residual_block(8, stride=2), (8, 8, 4))]
    assert shapes == [(3, 3, 4, 8), (8,), (8,), (3, 3, 8, 8), (8,), (8,), (1, 1, 4, 8), (8,), (8,)]


def test_without_dropout_nothing_is_left_out_anywhere() -> None:
    network = (Residual((Dense(3), Dropout(0.5)), (Dropout(0.1), Dense(3))), Dropout(0.2))
    assert without_dropout(network) == (Residual((Dense(3),), (Dense(3),)),)


def test_a_peer_names_the_layers_that_it_cannot_build() -> None:
    workload = Workload("w", "", (3,), (Residual((Unknown(),)), Dense(2)), Update("plain", 0.1), 1, bar=1.0, aim=1.0)
    assert chainrule_peer.refuses(workload) == "it is not written here for Unknown"
    assert not chainrule_peer.refuses(WORKLOADS["lenet"])


def test_memory_layouts_are_ways_of_their_own_for_images_alone() -> None:
    last = [peer for key, peer in peers().items() if "last" in key]
    assert len(last) == 2
    for peer in last:
        assert peer.differs(WORKLOADS["lenet"])
        assert not peer.differs(WORKLOADS["mlp-128"])


# ---- what chainrule builds from it ----------------------------------------------------------------------------------


def given(workload: Workload, samples: int = 40) -> Given:
    """Random bytes, and labels that can be told from them."""
    inputs = np.random.default_rng(2).integers(0, 256, (samples, *workload.shape), np.uint8)
    inputs[0].flat[0] = 255
    labels = (inputs.reshape(samples, -1)[:, 0] // 86).astype(np.int32)
    return Given(workload, inputs, labels, first_parameters(workload))


@pytest.mark.parametrize("name", SMALL)
def test_the_layers_have_the_parameters_and_the_outputs_that_the_description_says(name: str) -> None:
    workload = SMALL[name]
    start = given(workload)
    run = chainrule_peer.Runner(start, engine="reference").run_of
    arrays = list(run.parameters.values())
    assert [array.shape for array in arrays] == [p.shape for p in workload.parameters]
    assert all((a == b).all() for a, b in zip(arrays, start.parameters, strict=True))
    shape: Shape = output(workload.network, workload.shape)
    model = chainrule_peer.model_of(workload)
    plain = cr.prepare(model, cr.data.Dataset(start.inputs, start.labels), engine="reference")
    assert plain.outputs(start.inputs[:4]).shape == (4, *shape)


@pytest.mark.parametrize(
    "workload", [*SMALL.values(), SMALL["dense"].without_dropout()], ids=[*SMALL, "without dropout"]
)
def test_a_network_trains_alike_on_both_engines(workload: Workload) -> None:
    start, order = given(workload), batches(workload, 40, 30)
    native, reference = (chainrule_peer.Runner(start, engine=engine).run(order) for engine in ("native", "reference"))
    assert largest_difference(list(native), list(reference)) < 1e-3
    assert native[-5:].mean() < native[:5].mean()


def test_data_are_written_once_and_read_in_the_shape_of_a_row(tmp_path: Path) -> None:
    write_data(tmp_path, ["points", "images"])
    workload = WORKLOADS["resnet20"]
    small, large = read(tmp_path, workload, "uint8"), read(tmp_path, workload)
    assert small.inputs.shape == large.inputs.shape == (4096, 32, 32, 3)
    assert np.allclose(small.inputs[:10] / 255, large.inputs[:10])
    assert small.inputs.max() == 255
    assert read(tmp_path, WORKLOADS["tiny"], "uint8").inputs.dtype == np.float32
