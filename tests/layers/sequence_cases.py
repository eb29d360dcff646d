"""The layers of sequences that every law is tried on, with what each gives in plain NumPy."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from tests.layers.case import Case
from tests.layers.sequences import Array, gru, lstm, simple, unrolled

SIMPLE: dict[str, tuple[int, ...]] = {"weight": (2, 3), "recurrent_weight": (3, 3), "bias": (3,)}
FOUR: dict[str, tuple[int, ...]] = {"weight": (2, 4, 3), "recurrent_weight": (3, 4, 3), "bias": (4, 3)}
THREE: dict[str, tuple[int, ...]] = {"weight": (2, 3, 3), "recurrent_weight": (3, 3, 3), "bias": (4, 3)}


def below(name: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{path}": shape for path, shape in shapes.items()}


def both(x: Array, p: dict[str, Array]) -> Array:
    ways = (("forward.", False), ("backward.", True))
    return np.concatenate([unrolled(gru, sequences=True, below=n, backwards=b)(x, p) for n, b in ways], -1)


def stacked(x: Array, p: dict[str, Array]) -> Array:
    first = unrolled(lstm, parts=2, sequences=True, below="0.")(x, p)
    return unrolled(simple, below="1.")(first, p)


SEQUENCE_CASES: dict[str, Case] = {
    "SimpleRNN": Case(cr.SimpleRNN(3), (4, 2), (3,), SIMPLE, unrolled(simple)),
    "SimpleRNN, sequences backwards": Case(
        cr.SimpleRNN(3, sequences=True, backwards=True), (4, 2), (4, 3), SIMPLE,
        unrolled(simple, sequences=True, backwards=True),
    ),
    "SimpleRNN without bias": Case(
        cr.SimpleRNN(3, bias=False), (4, 2), (3,), {n: SIMPLE[n] for n in ("weight", "recurrent_weight")},
        unrolled(simple),
    ),
    "LSTM": Case(cr.LSTM(3), (4, 2), (3,), FOUR, unrolled(lstm, parts=2)),
    "LSTM, sequences": Case(
        cr.LSTM(3, sequences=True), (4, 2), (4, 3), FOUR, unrolled(lstm, parts=2, sequences=True),
    ),
    "LSTM, one step": Case(cr.LSTM(3), (1, 2), (3,), FOUR, unrolled(lstm, parts=2)),
    "LSTM, peepholes": Case(
        cr.LSTM(3, peepholes=True, backwards=True), (4, 2), (3,), FOUR | {"peephole": (3, 3)},
        unrolled(lstm, parts=2, backwards=True),
    ),
    "LSTM without bias": Case(
        cr.LSTM(3, bias=False), (4, 2), (3,), {n: FOUR[n] for n in ("weight", "recurrent_weight")},
        unrolled(lstm, parts=2),
    ),
    "GRU": Case(cr.GRU(3), (4, 2), (3,), THREE, unrolled(gru)),
    "GRU, reset before": Case(
        cr.GRU(3, reset_after=False, sequences=True), (4, 2), (4, 3), THREE | {"bias": (3, 3)},
        unrolled(gru, sequences=True),
    ),
    "Bidirectional": Case(
        cr.Bidirectional(cr.GRU(3, sequences=True)), (4, 2), (4, 6), below("forward", THREE) | below("backward", THREE),
        both,
    ),
    "Bidirectional, added": Case(
        cr.Bidirectional(cr.SimpleRNN(3), "add"), (4, 2), (3,), below("forward", SIMPLE) | below("backward", SIMPLE),
        lambda x, p: unrolled(simple, below="forward.")(x, p)
        + unrolled(simple, below="backward.", backwards=True)(x, p),
    ),
    "Stacked": Case(
        cr.Chain(cr.LSTM(3, sequences=True), cr.SimpleRNN(3)), (4, 2), (3,),
        below("0", FOUR) | below("1", SIMPLE | {"weight": (3, 3)}), stacked,
    ),
    "Masked, nothing to mask": Case(cr.Masked(cr.GRU(3)), (4, 2), (3,), THREE, unrolled(gru)),
}  # fmt: skip
