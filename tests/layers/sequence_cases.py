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


def attended(x: Array, p: dict[str, Array], heads: int = 2, causal: bool = False, below: str = "") -> Array:
    q, k, v = (
        (x @ p[f"{below}{name}.weight"] + p[f"{below}{name}.bias"]).reshape(*x.shape[:2], heads, -1)
        for name in ("query", "key", "value")
    )
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
    raised = np.exp(scores)
    mixed = np.einsum("bhqk,bkhd->bqhd", raised / raised.sum(-1, keepdims=True), v).reshape(x.shape)
    return np.asarray(mixed @ p[f"{below}output.weight"] + p[f"{below}output.bias"])


def normal(x: Array, p: dict[str, Array], name: str) -> Array:
    apart = x - x.mean(-1, keepdims=True)
    return np.asarray(apart / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * p[f"{name}.scale"] + p[f"{name}.shift"])


def gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))


def encoded(x: Array, p: dict[str, Array]) -> Array:
    x = x + attended(normal(x, p, "attention_norm"), p, 1, True, "attention.")
    inside = gelu(normal(x, p, "network_norm") @ p["hidden.weight"] + p["hidden.bias"])
    return np.asarray(x + inside @ p["output.weight"] + p["output.bias"])


def waves(x: Array, p: dict[str, Array]) -> Array:
    places = [[np.sin(t), np.cos(t), np.sin(t / 10000 ** (2 / 3))] for t in range(x.shape[1])]
    return np.asarray(x + np.array(places))


PROJECTIONS: dict[str, tuple[int, ...]] = {
    f"{name}.{kind}": (2,) * (1 + (kind == "weight"))
    for name in ("query", "key", "value", "output") for kind in ("weight", "bias")
}  # fmt: skip
BLOCK: dict[str, tuple[int, ...]] = {
    **{f"attention.{path}": shape for path, shape in PROJECTIONS.items()},
    **{f"{name}_norm.{kind}": (2,) for name in ("attention", "network") for kind in ("scale", "shift")},
    "hidden.weight": (2, 8), "hidden.bias": (8,), "output.weight": (8, 2), "output.bias": (2,),
}  # fmt: skip

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
    "MultiHeadAttention": Case(cr.MultiHeadAttention(2), (4, 2), (4, 2), PROJECTIONS, attended),
    "MultiHeadAttention, causal": Case(
        cr.MultiHeadAttention(1, causal=True), (4, 2), (4, 2), PROJECTIONS, lambda x, p: attended(x, p, 1, True),
    ),
    "MultiHeadAttention, one step": Case(cr.MultiHeadAttention(2), (1, 2), (1, 2), PROJECTIONS, attended),
    "TransformerEncoder": Case(cr.TransformerEncoder(1, causal=True), (4, 2), (4, 2), BLOCK, encoded),
    "SinusoidalPositions": Case(cr.SinusoidalPositions(), (4, 3), (4, 3), {}, waves),
    "LearnedPositions": Case(
        cr.LearnedPositions(6), (4, 3), (4, 3), {"weight": (6, 3)}, lambda x, p: x + p["weight"][:4],
    ),
    "Masked, nothing to mask": Case(cr.Masked(cr.GRU(3)), (4, 2), (3,), THREE, unrolled(gru)),
}  # fmt: skip
