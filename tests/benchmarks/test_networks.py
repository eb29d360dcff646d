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
    GRU,
    LSTM,
    Activation,
    Attention,
    Convolution,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAverage,
    Layer,
    MaxPool,
    Normalization,
    Positions,
    Residual,
    Shape,
    operations,
    output,
    parameters,
    residual_block,
    stack,
    transformer_block,
    without_dropout,
)
from benchmarks.speed.peers import chainrule_peer, peers
from benchmarks.speed.workload import Given, Update, Workload, batches, first_parameters
from benchmarks.speed.workloads import WORKLOADS
from chainrule import graph

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
    "lstm": Workload("lstm", "", (5, 3), (LSTM(4), Dense(3)), Update("adam", 0.01), 8, bar=1.0, aim=2.0),
    "gru": Workload("gru", "", (5, 3), (GRU(4), Dense(3)), Update("adam", 0.01), 8, bar=1.0, aim=2.0),
    "symbols": Workload(
        "symbols",
        "",
        (6,),
        (Embedding(7, 4), LSTM(5, each=True), Dense(7)),
        Update("adam", 0.01),
        8,
        bar=1.0,
        aim=2.0,
        data="text",
    ),
    "attention": Workload(
        "attention",
        "",
        (6,),
        (Embedding(7, 4), Positions(6), *transformer_block(4, heads=2), Normalization("features"), Dense(7)),
        Update("adam", 0.01),
        8,
        bar=1.0,
        aim=2.0,
        data="text",
    ),
}


# ---- what a description says ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unknown(Layer):
    """A layer that no peer knows."""


ATTENDING = 65 * 128 + 64 * 128 + 4 * (12 * 128**2 + 13 * 128) + 2 * 128 + 129 * 65


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *(("lenet", 421_642), ("resnet20", 272_474), ("mlp-128", 238_510)),
        *(("lstm", (28 + 128 + 1) * 512 + 1290), ("gru", (28 + 128) * 384 + 512 + 1290)),
        *(("charlstm", 65 * 64 + (64 + 256 + 1) * 1024 + 257 * 65), ("transformer", ATTENDING)),
    ],
)
def test_a_row_has_the_parameters_of_its_network(name: str, count: int) -> None:
    assert sum(math.prod(p.shape) for p in WORKLOADS[name].parameters) == count


@pytest.mark.parametrize("name", [name for name, w in WORKLOADS.items() if w.loss == "cross_entropy"])
def test_a_row_ends_with_logits(name: str) -> None:
    assert WORKLOADS[name].outputs[-1] in (2, 10, 65)


def test_operations_count_padded_taps_and_no_gradient_of_the_data() -> None:
    first, second = 28 * 28 * 9 * 32, 14 * 14 * 9 * 32 * 64
    dense = 3136 * 128 + 1280
    assert WORKLOADS["lenet"].operations == 64 * 2 * (2 * first + 3 * (second + dense))


def test_of_a_recurrence_the_state_is_reached_by_a_gradient_and_the_data_are_not() -> None:
    data, state = 28 * 28 * 512, 28 * 128 * 512
    assert operations((LSTM(128),), (28, 28)) == 4 * data + 6 * state
    assert WORKLOADS["charlstm"].operations == 32 * 64 * 6 * ((64 + 256) * 1024 + 256 * 65)


def test_operations_of_attention_count_every_pair_of_places() -> None:
    assert Attention(4).products((64, 128)) == 64 * 4 * 128**2 + 2 * 64 * 64 * 128


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
    """Random bytes, and labels that can be told from them; or symbols, each one more than the last."""
    if workload.data == "text":
        symbols = (np.arange(samples)[:, None] + np.arange(workload.shape[0] + 1)).astype(np.int32) % 7
        return Given(workload, symbols[:, :-1], symbols[:, 1:], first_parameters(workload))
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
    assert sum(array.size for array in arrays) == sum(math.prod(p.shape) for p in workload.parameters)
    assert all((a == b).all() for a, b in zip(arrays, chainrule_peer.parameters_of(start), strict=True))
    shape: Shape = output(workload.network, workload.shape)
    model = chainrule_peer.model_of(workload)
    x = graph.input("x", (4, *workload.shape), "int32" if workload.data == "text" else "float32")
    assert cr.layers.Scope(cr.layers.Record("float32"), training=False).apply(model, x, name="").shape == (4, *shape)


def test_attention_is_given_its_queries_keys_and_values_apart() -> None:
    start = given(SMALL["attention"])
    places = [place for place, array in enumerate(start.parameters) if array.shape == (4, 12)]
    (place,) = places
    start.parameters[place + 1][:] = np.arange(12)
    found = chainrule_peer.parameters_of(start)
    assert [array.tolist() for array in found[place + 1 : place + 6 : 2]] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    assert (found[place + 2] == start.parameters[place][:, 4:8]).all()


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
