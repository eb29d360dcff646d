"""Trainings with a planted fault, and trainings that are healthy: two tables, used by the same tests.

Each gives a run and the data that it is to be diagnosed with.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.data import Dataset, from_arrays
from chainrule.initializers import Constant, Normal, Orthogonal
from chainrule.optimizers import SGD, Adam, Groups
from chainrule.run import Run
from tests.explain.health.layers import Looped, Normalised, Softmax, Unrolled, softmax

Made = tuple[Run, Dataset]
Training = Callable[[], Made]


def fitted(model: Any, data: Any, judged: Any = None, epochs: int = 3, **settings: Any) -> Made:
    """A run of some epochs; it is judged by its training data unless others are given."""
    run = cr.prepare(model, data, **settings)
    with contextlib.suppress(cr.errors.NotFiniteError):
        run.fit(data, epochs=epochs, progress=False)
    return run, judged if judged is not None else data


@functools.cache
def digits() -> tuple[Dataset, Dataset]:
    return cr.data.load("digits")


@functools.cache
def iris() -> tuple[Dataset, Dataset]:
    return cr.data.load("iris")


def numbers(seed: int = 1, shape: tuple[int, int] = (400, 5)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def line(scale: float = 1.0, targets: float = 1.0) -> Dataset:
    """A target that is a sum of all columns, with noise."""
    x = numbers()
    y = x @ np.arange(1.0, 6.0) / 5 + 0.1 * numbers(2, (400, 1))[:, 0]
    return from_arrays(x * scale, (targets * y)[:, None])


def deep(units: int, depth: int, activation: Any, last: Any = None, **settings: Any) -> Any:
    return cr.Chain(*(cr.Dense(units, activation, **settings) for _ in range(depth)), cr.Dense(10, weight=last))


def small(activation: Any = cr.relu, units: int = 10, **settings: Any) -> Any:
    return cr.Chain(cr.Dense(32, activation, **settings), cr.Dense(units))


def shuffled() -> Dataset:
    train = digits()[0]
    assert train.targets is not None
    order = np.random.default_rng(3).permutation(len(train))
    return from_arrays(train.inputs, train.targets[order], train.classes, preparation=train.preparation)


def rare() -> Dataset:
    train = digits()[0]
    zeros = np.flatnonzero(train.targets == 0)
    return train.subset(np.setdiff1d(np.arange(len(train)), zeros[6:]))


def leaking(column: int = 2, classes: bool = True) -> Dataset:
    x = numbers(5)
    y = (x[:, 0] + x[:, 1] + 0.5 * numbers(6)[:, 0] > 0).astype(int) if classes else x[:, 0] + numbers(6)[:, 1]
    x[:, column] = 3.0 * y + (0 if classes else 1)
    return from_arrays(x, y if classes else y[:, None])


def frozen() -> Any:
    return Groups({"0.*": SGD(0.0)}, otherwise=SGD(0.1))


def own_softmax() -> Made:
    """A user's own step that gives probabilities to a loss on logits."""
    model = small(cr.tanh)

    @cr.step
    def step(state: Any, batch: Any) -> Any:
        loss = cr.losses.cross_entropy(softmax(state.apply(model, batch.inputs)), batch.targets)
        state.descend(loss, model, SGD(0.1))
        return {"loss": loss}

    return fitted(step, digits()[0])


def adversaries(noise: int = 16, rate: float = 0.001, judge_units: int = 64, epochs: int = 6) -> Made:
    """A pair on digits: what one draws of noise, the other tells from real ones."""
    artist = cr.Chain(cr.Dense(64, cr.leaky_relu), cr.Dense(64, cr.leaky_relu), cr.Dense(64, cr.sigmoid), name="artist")
    judge = cr.Chain(cr.Dense(judge_units, cr.leaky_relu), cr.Dense(1), name="judge")

    def judged(state: Any, images: Any, real: float) -> Any:
        said = state.apply(judge, images)
        return cr.losses.binary_cross_entropy(said, cr.graph.full(said.shape, real, said.dtype))

    @cr.step
    def duel(state: Any, batch: Any) -> Any:
        drawn = state.apply(artist, state.normal((len(batch), noise)))
        judging = judged(state, batch.inputs, 0.9) + judged(state, cr.graph.stop_gradient(drawn), 0.0)
        state.descend(judging, judge, Adam(0.001, beta1=0.5))
        drawing = judged(state, drawn, 1.0)
        state.descend(drawing, artist, Adam(rate, beta1=0.5))
        return {"judge_loss": judging, "artist_loss": drawing}

    return fitted(duel, digits()[0], epochs=epochs)


def normalised(layer: Any, size: int) -> Made:
    """Batches that are too small for what normalises by them."""
    model = cr.Chain(cr.Dense(32), layer, cr.relu, cr.Dense(10))
    return fitted(model, digits()[0], batch_size=size, optimizer=SGD(0.01), epochs=1)


def recurrent(layer: Any, **settings: Any) -> Made:
    return fitted(cr.Chain(layer, cr.Dense(10)), digits()[0], epochs=1, **settings)


#: A recurrence that loses two fifths of what it hands on at each step.
FADING = Orthogonal(0.6)


def adding(layer: Any, length: int, epochs: int) -> Made:
    """The sum of two numbers that stand somewhere in a sequence."""
    data, model = cr.data.adding_problem(400, length), cr.Chain(layer, cr.Dense(1))
    if not epochs:
        return cr.prepare(model, data), data
    return fitted(model, data, epochs=epochs, batch_size=16, optimizer=Adam(0.01))


def told_at(step: int, layer: Any, noise: float = 0.0) -> Made:
    """Which of four symbols stood at a step of sixty."""
    x, labels = np.zeros((400, 60, 4)), np.arange(400) * 7 % 4
    x[np.arange(400), step, labels] = 1
    x += noise * np.random.default_rng(8).normal(size=x.shape)
    return fitted(cr.Chain(layer, cr.Dense(4)), from_arrays(x, labels), epochs=5, batch_size=16, optimizer=Adam(0.01))


def copying(layer: Any) -> Made:
    """Three symbols to be said again after sixty steps."""
    data, model = cr.data.copy_task(400, 60, remembered=3), cr.Chain(cr.Embedding(10, 8), layer, cr.Dense(10))
    return fitted(model, data, epochs=5, batch_size=16, optimizer=Adam(0.003))


#: The name of the finding, what was planted, and how.
FAULTS: list[tuple[str, str, Training]] = [
    ("learning rate too high", "descent on digits", lambda: fitted(small(cr.tanh), digits()[0], optimizer=SGD(20.0))),
    ("learning rate too high", "relu on digits", lambda: fitted(small(), digits()[0], optimizer=SGD(5.0))),
    ("learning rate too high", "a regression", lambda: fitted(cr.Dense(1), line(), optimizer=SGD(1.5), epochs=2)),
    (
        "not finite",
        "descent that leaps away",
        lambda: fitted(small(cr.identity), digits()[0], optimizer=SGD(1e3), loss=cr.losses.mean_squared_error),
    ),
    ("learning rate too low", "descent on digits", lambda: fitted(small(), digits()[0], optimizer=SGD(1e-6))),
    ("learning rate too low", "Adam on digits", lambda: fitted(small(), digits()[0], optimizer=Adam(1e-7))),
    (
        "equal weights",
        "a constant",
        lambda: fitted(deep(16, 1, cr.tanh, weight=Constant(0.1), last=Constant(0.1)), digits()[0]),
    ),
    (
        "equal weights",
        "zeros",
        lambda: fitted(deep(8, 2, cr.sigmoid, weight=Constant(0.0), last=Constant(0.0)), digits()[0]),
    ),
    (
        "equal weights",
        "a constant, and rounding",
        lambda: fitted(
            deep(20, 1, cr.tanh, weight=Constant(0.05), last=Constant(0.0)), digits()[0], seed=2, engine="reference"
        ),
    ),
    ("dead units", "a bias far below", lambda: fitted(small(bias_start=Constant(-50.0)), digits()[0])),
    ("dead units", "a leap in the first steps", lambda: fitted(small(), digits()[0], optimizer=SGD(5.0))),
    ("saturated units", "tanh, large weights", lambda: fitted(small(cr.tanh, weight=Normal(20.0)), digits()[0])),
    ("saturated units", "sigmoid, large weights", lambda: fitted(small(cr.sigmoid, weight=Normal(60.0)), digits()[0])),
    ("vanishing gradients", "deep sigmoid", lambda: fitted(deep(16, 12, cr.sigmoid), digits()[0], epochs=1)),
    ("vanishing gradients", "deep tanh", lambda: fitted(deep(16, 12, cr.tanh, weight=Normal(0.05)), digits()[0])),
    (
        "exploding gradients",
        "deep tanh, large weights",
        lambda: fitted(deep(64, 12, cr.identity, weight=Normal(0.4)), digits()[0], epochs=1, optimizer=SGD(1e-12)),
    ),
    ("unscaled inputs", "thousands", lambda: fitted(small(units=1), line(1000.0), optimizer=Adam())),
    ("unscaled inputs", "thousandths", lambda: fitted(small(units=1), line(0.001), optimizer=Adam())),
    ("a frozen layer", "a rate of 0 for the first", lambda: fitted(small(), digits()[0], optimizer=frozen())),
    ("no gradient", "a step function", lambda: fitted(small(cr.step_function), digits()[0])),
    ("class imbalance", "six zeros", lambda: fitted(small(), rare())),
    ("a leaking column", "classes", lambda: fitted(small(units=2), leaking())),
    ("a leaking column", "numbers", lambda: fitted(small(units=1), leaking(1, classes=False), optimizer=Adam())),
    (
        "targets out of range",
        "beyond a sigmoid",
        lambda: fitted(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(1, cr.sigmoid)), line()),
    ),
    (
        "targets out of range",
        "below a relu",
        lambda: fitted(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(1, cr.relu)), line(), optimizer=Adam()),
    ),
    ("squashed logits", "a sigmoid", lambda: fitted(cr.Chain(cr.Dense(10, cr.sigmoid)), digits()[0])),
    ("squashed logits", "a relu", lambda: fitted(cr.Chain(cr.Dense(10, cr.relu)), digits()[0])),
    (
        "a softmax twice",
        "in a layer of one's own",
        lambda: fitted(cr.Chain(cr.Dense(32, cr.tanh), Softmax(10)), digits()[0]),
    ),
    ("a softmax twice", "in a step of one's own", own_softmax),
    ("a batch too small to normalise by", "one sample", lambda: normalised(Normalised(), 1)),
    ("a batch too small to normalise by", "two samples", lambda: normalised(cr.BatchNorm(), 2)),
    ("exploding through time", "a recurrence written out", lambda: recurrent(Unrolled(15, 2.5), optimizer=SGD(1e-12))),
    (
        "exploding through time",
        "a long recurrence, by less than twice a step",
        lambda: recurrent(Unrolled(25, 1.8), optimizer=SGD(1e-10), engine="reference"),
    ),
    ("exploding through time", "a loop over time", lambda: recurrent(Looped(2.5), optimizer=SGD(1e-12))),
    (
        "exploding through time",
        "a loop whose every step counts",
        lambda: recurrent(Looped(2.5, whole=True), optimizer=SGD(1e-12)),
    ),
    ("vanishing through time", "a recurrence written out", lambda: recurrent(Unrolled(15, 1.0, cr.sigmoid))),
    ("vanishing through time", "a loop over time", lambda: recurrent(Looped(0.4), optimizer=SGD(0.01))),
    (
        "exploding through time",
        "by a fifth a step, far",
        lambda: adding(cr.SimpleRNN(8, cr.identity, recurrent_weight=Orthogonal(1.2)), 100, 0),
    ),
    ("vanishing through time", "numbers to be added", lambda: adding(cr.SimpleRNN(8), 100, 5)),
    (
        "vanishing through time",
        "classes told at first",
        lambda: told_at(0, cr.SimpleRNN(8, recurrent_weight=FADING)),
    ),
    (
        "vanishing through time",
        "symbols to be copied",
        lambda: copying(cr.SimpleRNN(8, sequences=True, recurrent_weight=FADING)),
    ),
    ("no better than chance", "shuffled labels", lambda: fitted(small(cr.tanh), shuffled(), digits()[1])),
    ("mode collapse", "one drawing for any noise", lambda: adversaries(rate=0.02)),
    ("mode collapse", "many drawings along one line", lambda: adversaries(noise=1)),
]

HEALTHY: list[tuple[str, Training]] = [
    *(
        (f"digits, {name}", functools.partial(lambda o: fitted(small(), digits()[0], digits()[1], optimizer=o), each))
        for name, each in {
            "descent": SGD(0.1),
            "momentum": SGD(0.1, momentum=0.9),
            "Adam": Adam(0.01),
            "RMSprop": cr.optimizers.RMSprop(0.003),
            "AdamW": cr.optimizers.AdamW(0.003),
            "Lion": cr.optimizers.Lion(0.001),
            "cosine to 0": SGD(cr.schedules.Cosine(0.2, steps=135)),
        }.items()
    ),
    *(
        (f"digits, {f.__name__}", functools.partial(lambda f: fitted(small(f), digits()[0]), f))
        for f in (cr.tanh, cr.sigmoid, cr.leaky_relu)
    ),
    ("digits, four layers of relu", lambda: fitted(deep(32, 4, cr.relu), digits()[0], optimizer=SGD(0.1))),
    ("digits, six layers of tanh", lambda: fitted(deep(32, 6, cr.tanh), digits()[0], optimizer=SGD(0.05))),
    ("digits, long", lambda: fitted(small(), digits()[0], digits()[1], epochs=40)),
    (
        "digits, normalised and dropped",
        lambda: fitted(cr.Chain(cr.Dense(32), cr.BatchNorm(), cr.relu, cr.Dropout(0.3), cr.Dense(10)), digits()[0]),
    ),
    ("digits, batch norm, eight samples a step", lambda: normalised(cr.BatchNorm(), 8)),
    ("digits, layer norm, one sample a step", lambda: normalised(cr.LayerNorm(), 1)),
    ("digits, dropout, two samples a step", lambda: normalised(cr.Dropout(0.2), 2)),
    ("digits, a recurrence written out", lambda: recurrent(Unrolled(15, 0.9, cr.tanh), optimizer=SGD(0.05))),
    (
        "digits, an LSTM over pixel after pixel",
        lambda: fitted(
            cr.Chain(cr.Reshape((64, 1)), cr.LSTM(12), cr.Dense(10)), digits()[0].subset(np.arange(300)), seed=4,
            optimizer=Adam(0.005), engine="reference",
        ),
    ),
    ("adding two numbers, LSTM", lambda: adding(cr.LSTM(8), 12, 8)),
    ("adding two numbers, far, not begun", lambda: adding(cr.SimpleRNN(8), 100, 0)),
    ("what was said long ago is not wanted", lambda: told_at(-1, cr.GRU(8), noise=0.1)),
    ("digits, a loop over rows", lambda: recurrent(Looped(1.0), optimizer=SGD(0.01))),
    ("digits, zeros in a single layer", lambda: fitted(cr.Dense(10, weight=Constant(0.0)), digits()[0])),
    ("digits, not trained yet", lambda: (cr.prepare(small(), digits()[0]), digits()[0])),
    ("iris, tanh", lambda: fitted(small(cr.tanh, 3), *iris(), epochs=30)),
    ("iris, relu, all samples a step", lambda: fitted(small(units=3), *iris(), epochs=60, batch_size=None)),
    ("iris, one sample a step", lambda: fitted(small(cr.tanh, 3), iris()[0], batch_size=1, optimizer=SGD(0.02))),
    (
        "xor, tanh",
        lambda: fitted(small(cr.tanh, 2), cr.data.load("xor")[0], epochs=200, batch_size=4),
    ),
    (
        "xor, sigmoid and squared error",
        lambda: fitted(
            cr.Chain(cr.Dense(4, cr.sigmoid), cr.Dense(2, cr.sigmoid)), cr.data.load("xor")[0], epochs=2000,
            batch_size=4, loss=cr.losses.mean_squared_error, optimizer=SGD(1.0, momentum=0.9),
        ),
    ),
    ("a line", lambda: fitted(cr.Dense(1), line(), epochs=10, optimizer=SGD(0.05))),
    ("a curve, tanh", lambda: fitted(small(cr.tanh, 1), line(), epochs=20, optimizer=Adam(0.01))),
    ("a curve, relu", lambda: fitted(small(units=1), line(), epochs=20, optimizer=SGD(0.05))),
    ("digits, a pair that draws and judges", adversaries),
    ("digits, a pair that has just begun", lambda: adversaries(epochs=1)),
]  # fmt: skip
