"""Attention: each place of a sequence takes what it needs from the others, weighed by how well they fit."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from chainrule import graph
from chainrule.errors import CannotGoOnError, ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import composite
from chainrule.layers.checking import check_range
from chainrule.layers.dense import Dense
from chainrule.layers.masking import mask_of, where
from chainrule.layers.noise import Dropout
from chainrule.layers.positions import rotated
from chainrule.layers.scope import Scope

#: A score of what is not to be seen: e to the power of it is 0 beside any other.
_UNSEEN = -1e30


@composite
def attention_weights(query: Node, key: Node, mask: Node | None = None, causal: bool = False) -> Node:
    """softmax(q·kᵀ/√d) over the keys, (batch, heads, time, keys).

    ``query`` q is (batch, time, heads, d), ``key`` k is (batch, keys, heads, d). ``mask`` says which keys are there,
    (batch, keys); ``causal`` lets each place see itself and those before alone, counted from the end where there are
    more keys than queries. What is not seen has weight 0; where nothing is, all have the same.

    >>> q = graph.input("q", (2, 5, 4, 8))
    >>> attention_weights(q, q, causal=True).shape
    (2, 4, 5, 5)

    Reference: A. Vaswani et al., "Attention is all you need", 2017.
    """
    scores = graph.contract(query, key, "bqhd,bkhd->bhqk") * query.shape[-1] ** -0.5
    _, heads, queries, keys = scores.shape
    if causal:
        row = graph.broadcast(graph.iota(queries), [1], [keys]) + (keys - queries)
        later = graph.lt(row, graph.broadcast(graph.iota(keys), [0], [queries]))
        scores = graph.select(graph.broadcast_to(later, scores.shape), _UNSEEN, scores)
    if mask is not None:
        scores = graph.select(graph.broadcast(mask, [1, 2], [heads, queries]), scores, _UNSEEN)
    raised = graph.exp(scores - graph.broadcast_like(graph.stop_gradient(graph.max(scores, -1)), scores, -1))
    return raised / graph.broadcast_like(graph.sum(raised, -1), raised, -1)


@dataclass(frozen=True)
class MultiHeadAttention:
    """Attention by several heads at once: yₕ = softmax(qₕ·kₕᵀ/√d)·vₕ, and a dense layer over all heads.

    Of one input x, (batch, time, n), all of q, k and v are made, each by a dense layer of n units with a path of its
    own, "query", "key" and "value", that is cut into ``heads`` heads of d = n / heads; "output" is dense again. A
    second input, the memory (batch, keys, m), is what k and v are made of instead, and a third says which of its steps
    are there, booleans (batch, keys). ``causal`` lets each step see itself and those before it alone. ``rotary`` turns
    q and k by their places (see `layers.rotated`). In training a weight is 0 with probability ``dropout``. In `Masked`,
    padding is seen by no step, and what comes out there is 0.

    Raises `ShapeError` where n is no multiple of ``heads``.

    Differs from: PyTorch, which has q, k and v in one weight, time first unless asked, and masks that are true at what
    is *not* seen. Keras asks for the size d of a head.

    >>> MultiHeadAttention(4, causal=True).heads
    4

    Reference: A. Vaswani et al., "Attention is all you need", 2017.
    """

    heads: int
    _: KW_ONLY
    causal: bool = False
    rotary: bool = False
    bias: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_heads("MultiHeadAttention", self.heads, self.dropout)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, n) -> the same."""
        x, memory, mask = self._checked(scope, inputs)
        query, key, value = self._parts(scope, x, memory, 0)
        weights = attention_weights(query, key, mask, self.causal)
        if self.dropout:
            weights = scope.apply(Dropout(self.dropout), weights, name="dropout")
        return where(mask_of(scope, x), self._mixed(scope, weights, where(mask, value)))

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        """The next position, (batch, 1, n) -> the same: keys and values of those before it are kept."""
        if not self.causal or len(inputs) != 1 or scope.mask is not None:
            raise CannotGoOnError("only causal attention of a sequence without padding to itself goes on step by step")
        x, _, _ = self._checked(scope, inputs)
        query, key, value = self._parts(scope, x, x, scope.position)
        keys, values = scope.so_far("keys", key), scope.so_far("values", value)
        seen = graph.le(graph.iota(scope.positions), graph.broadcast(scope.position, [0], [scope.positions]))
        weights = attention_weights(query, keys, graph.broadcast_to(seen, keys.shape[:2]))
        return self._mixed(scope, weights, values)

    def _parts(self, scope: Scope, x: Node, memory: Node, start: int | Node) -> tuple[Node, Node, Node]:
        """Queries, keys and values, (batch, time, heads, d) each."""
        width = x.shape[-1]
        query, key, value = (
            self._cut(scope.apply(Dense(width, bias=self.bias), of, name=name))
            for name, of in (("query", x), ("key", memory), ("value", memory))
        )
        return (rotated(query, start), rotated(key, start), value) if self.rotary else (query, key, value)

    def _mixed(self, scope: Scope, weights: Node, value: Node) -> Node:
        mixed = graph.contract(weights, value, "bhqk,bkhd->bqhd")
        batch, time, heads, size = mixed.shape
        together = graph.reshape(mixed, (batch, time, heads * size))
        return scope.apply(Dense(heads * size, bias=self.bias), together, name="output")

    def _cut(self, x: Node) -> Node:
        *rows, width = x.shape
        return graph.reshape(x, (*rows, self.heads, width // self.heads))

    def _checked(self, scope: Scope, inputs: tuple[Node, ...]) -> tuple[Node, Node, Node | None]:
        if not 1 <= len(inputs) <= 3:
            raise ShapeError(f"takes a sequence, a memory and its mask if there are any, and got {len(inputs)} inputs")
        x = inputs[0]
        memory = inputs[1] if len(inputs) > 1 else x
        for node in (x, memory):
            if node.rank != 3 or not node.shape[1]:
                raise ShapeError(f"wants sequences, (batch, time, features), and got {list(node.shape)}")
            if node.dtype != scope.dtype:
                raise DtypeError(f"wants {scope.dtype}, and got {node.dtype}; use graph.cast")
        if x.shape[0] != memory.shape[0]:
            raise ShapeError(f"{x.shape[0]} sequences cannot look at a memory of {memory.shape[0]}")
        check_width(x.shape[-1], self.heads, self.rotary)
        if len(inputs) < 3:
            return x, memory, mask_of(scope, x) if memory is x else None
        mask = inputs[2]
        if mask.shape != memory.shape[:2] or mask.dtype != "bool":
            raise ShapeError(
                f"the mask of the memory is bool{list(memory.shape[:2])}, and {mask.dtype}{list(mask.shape)} came"
            )
        return x, memory, mask


def check_heads(who: str, heads: int, dropout: float) -> None:
    """Refuse a number of heads, or a rate of dropout, that is none."""
    if not isinstance(heads, int) or isinstance(heads, bool) or heads < 1:
        raise ConfigurationError(f"{who}: heads is a whole number above 0, not {heads!r}")
    check_range(who, "dropout", dropout, 0.0, 1.0)


def check_width(width: int, heads: int, rotary: bool = False) -> None:
    """Refuse a width that cannot be cut into heads, with what could be."""
    if width % heads:
        fitting = [n for n in range(1, width + 1) if width % n == 0]
        near = " or ".join(str(n) for n in sorted(sorted(fitting, key=lambda n: abs(math.log(n / heads)))[:2]))
        wider = (width // heads + 1) * heads
        raise ShapeError(f"width {width} is not a multiple of {heads} heads: take {near} heads, or a width of {wider}")
    if rotary and width // heads % 2:
        raise ShapeError(f"rotary places turn pairs, and a head of width {width} / {heads} = {width // heads} is odd")
