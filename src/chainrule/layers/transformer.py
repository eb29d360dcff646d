"""Blocks of a transformer: attention and a small network at each step, with shortcuts around both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from chainrule import graph
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import composite
from chainrule.layers.attention import MultiHeadAttention, check_heads
from chainrule.layers.dense import Activation, Dense
from chainrule.layers.noise import Dropout
from chainrule.layers.normalisation import LayerNorm
from chainrule.layers.scope import Scope, one_input


@composite
def gelu(x: Node) -> Node:
    """½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): x weighed by how probable it is that a normal number is smaller.

    Differs from: PyTorch, where this is approximate="tanh", and the form with erf is usual.

    >>> gelu(graph.input("x", (2,))).shape
    (2,)

    Reference: D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", 2016.
    """
    # ½·(1 + tanh u) is the sigmoid of 2u, which is exact where that difference would be lost.
    return x * graph.sigmoid(1.5957691216057308 * (x + 0.044715 * (x * x * x)))


@dataclass(frozen=True)
class _Block:
    heads: int
    hidden: int | None = None
    activation: Activation = gelu
    _: KW_ONLY
    rotary: bool = False
    dropout: float = 0.0
    norm_first: bool = True
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        who = type(self).__name__
        check_heads(who, self.heads, self.dropout)
        if self.hidden is not None and (
            not isinstance(self.hidden, int) or isinstance(self.hidden, bool) or self.hidden < 1
        ):
            raise ConfigurationError(
                f"{who}: hidden is a whole number above 0, or None for 4·width, not {self.hidden!r}"
            )
        if not callable(self.activation):
            raise ConfigurationError(f"{who}: activation is a function such as chainrule.relu, not {self.activation!r}")
        LayerNorm(self.epsilon)

    def _around(self, scope: Scope, x: Node, name: str, inner: Callable[[Node], Node]) -> Node:
        """x and what ``inner`` makes of it, with a normalisation before, or after both."""

        def normal(node: Node) -> Node:
            return scope.apply(LayerNorm(self.epsilon), node, name=f"{name}_norm")

        def added(node: Node) -> Node:
            y = inner(node)
            return x + (scope.apply(Dropout(self.dropout), y, name=f"{name}_dropout") if self.dropout else y)

        return added(normal(x)) if self.norm_first else normal(added(x))

    def _attention(self, scope: Scope, x: Node, name: str, causal: bool, *memory: Node) -> Node:
        layer = MultiHeadAttention(self.heads, causal=causal, rotary=self.rotary and not memory, dropout=self.dropout)
        return self._around(scope, x, name, lambda node: scope.apply(layer, node, *memory, name=name))

    def _network(self, scope: Scope, x: Node) -> Node:
        width = x.shape[-1]

        def inner(node: Node) -> Node:
            inside = scope.apply(Dense(self.hidden or 4 * width, self.activation), node, name="hidden")
            return scope.apply(Dense(width), inside, name="output")

        return self._around(scope, x, "network", inner)


@dataclass(frozen=True)
class TransformerEncoder(_Block):
    """One block of a transformer: x ← x + attention(norm(x)); x ← x + network(norm(x)).

    x is (batch, time, n); attention has ``heads`` heads, and the network at each step two dense layers, the first of
    ``hidden`` units (4·n if none are given) with ``activation``. With ``causal`` a step sees itself and those before it
    alone, as in a language model; with ``rotary`` attention knows the distances (`layers.rotated`). ``dropout`` is in
    training alone, of attention's weights and of both that are added. With ``norm_first=False`` it is the block as
    first published, norm(x + …). The paths are "attention_norm", "attention", "network_norm", "hidden" and "output".
    A whole model is some of these in a chain, with an `Embedding` and places before and a `LayerNorm` after them.

    Raises `ShapeError` where n is no multiple of ``heads``.

    Differs from: PyTorch, where the norm comes last and the activation is ReLU unless said otherwise, and there is
    dropout after the activation too.

    >>> TransformerEncoder(4, causal=True).heads
    4

    Reference: A. Vaswani et al., "Attention is all you need", 2017; R. Xiong et al., "On layer normalization in the
    transformer architecture", 2020.
    """

    _: KW_ONLY
    causal: bool = False

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, n) -> the same."""
        x = one_input(inputs)
        return self._network(scope, self._attention(scope, x, "attention", self.causal))


@dataclass(frozen=True)
class TransformerDecoder(_Block):
    """One block of a decoder: causal attention, attention to a memory, and a network, each x ← x + f(norm(x)).

    Its inputs are x (batch, time, n), the memory (batch, steps, m), such as what encoder blocks gave, and, where some
    of its steps are padding, which are there, booleans (batch, steps). All else is as in `TransformerEncoder`; the
    attention to the memory is "memory", with "memory_norm" before it, which normalises x alone.

    >>> TransformerDecoder(4).norm_first
    True

    Reference: A. Vaswani et al., "Attention is all you need", 2017.
    """

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, n), and a memory -> the first's shape."""
        if len(inputs) not in (2, 3):
            raise ShapeError(f"takes a sequence, a memory, and its mask if there is one, and got {len(inputs)} inputs")
        x, *memory = inputs
        x = self._attention(scope, x, "attention", True)
        return self._network(scope, self._attention(scope, x, "memory", False, *memory))
