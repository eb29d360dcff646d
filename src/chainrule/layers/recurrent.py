"""The recurrent layers with names: simple, LSTM and GRU."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.initializers import Array, Constant, Glorot, Initializer, Orthogonal, PerGate
from chainrule.keys import Key
from chainrule.layers.checking import check_range
from chainrule.layers.dense import Activation
from chainrule.layers.recurrence import Looping, Sizes, State
from chainrule.layers.scope import Scope


class _Units(Looping):
    """What the three have in common: units, two weights, and dropout of what goes from step to step."""

    units: int
    recurrent_dropout: float
    weight: Initializer | None
    recurrent_weight: Initializer | None

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        if not isinstance(self.units, int) or isinstance(self.units, bool) or self.units < 1:
            raise ConfigurationError(f"{who}: units is a whole number above 0, not {self.units!r}")
        check_range(who, "recurrent_dropout", self.recurrent_dropout, 0.0, 1.0)

    @property
    def sizes(self) -> Sizes:
        """One part, (batch, units)."""
        return (self.units,)

    def _weight(self, scope: Scope, features: int, gates: int) -> Node:
        return scope.parameter("weight", (features, gates, self.units), PerGate(self.weight or Glorot()))

    def _recurrent_weight(self, scope: Scope, gates: int) -> Node:
        first = PerGate(self.recurrent_weight or Orthogonal())
        return scope.parameter("recurrent_weight", (self.units, gates, self.units), first)

    def _seen(self, scope: Scope, hidden: Node) -> Node:
        """The state as the next step sees it in training: some of it dropped, the same at all steps."""
        if not scope.training or not self.recurrent_dropout:
            return hidden
        dropped = graph.lt(scope.bits("mask", hidden.shape), min(round(self.recurrent_dropout * 2**32), 2**32 - 1))
        return graph.select(dropped, 0.0, hidden * (1 / (1 - self.recurrent_dropout)))


@dataclass(frozen=True)
class SimpleRNN(_Units):
    """Units that see the input and what they said a step before: hₜ = f(xₜ·W + hₜ₋₁·U + b).

    x is (batch, time, n), ``weight`` W is (n, units), ``recurrent_weight`` U is (units, units), ``bias`` b is (units,),
    and ``activation`` is f. W starts as Glorot's, U orthogonal, b at 0. In training each part of h is 0 for the next
    step with probability ``recurrent_dropout``, the same parts at all steps of a sequence. The other settings are those
    of `Recurrent`; what comes out is h.

    Differs from: PyTorch, which has two biases, of which only the sum matters, and the weights turned round:
    `chainrule.formats.frameworks` converts.

    >>> SimpleRNN(64).sizes
    (64,)

    Reference: J. Elman, "Finding structure in time", 1990.
    """

    units: int
    activation: Activation = graph.tanh
    _: KW_ONLY
    sequences: bool = False
    backwards: bool = False
    carry: bool = False
    bias: bool = True
    recurrent_dropout: float = 0.0
    weight: Initializer | None = None
    recurrent_weight: Initializer | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.activation):
            raise ConfigurationError(
                f"SimpleRNN: activation is a function such as chainrule.tanh, not {self.activation!r}"
            )

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        """f of the sum."""
        sums = x @ scope.parameter("weight", (x.shape[-1], self.units), self.weight or Glorot())
        sums = _biased(scope, sums, (self.units,), Constant(0.0)) if self.bias else sums
        weight = scope.parameter("recurrent_weight", (self.units,) * 2, self.recurrent_weight or Orthogonal())
        hidden = self.activation(sums + self._seen(scope, state[0]) @ weight)
        return (hidden,), hidden


@dataclass(frozen=True)
class LSTM(_Units):
    """Long short-term memory: a cell that keeps what a gate tells it to keep, so that its gradient need not fade.

    [i, f, g, o] = xₜ·W + hₜ₋₁·U + b;  cₜ = σ(f)·cₜ₋₁ + σ(i)·tanh(g);  hₜ = σ(o)·tanh(cₜ). x is (batch, time, n),
    ``weight`` W is (n, 4, units), ``recurrent_weight`` U is (units, 4, units), ``bias`` b is (4, units). The gates are
    in the order input, forget, cell, output. With ``peepholes`` the gates see the cell: ``peephole`` p is (3, units),
    and p₀·cₜ₋₁ is added to i, p₁·cₜ₋₁ to f, p₂·cₜ to o. Each gate of W starts as Glorot's and of U orthogonal; b starts
    at 0, but at ``forget_bias`` for the gate f, so that the cell keeps at first (Gers, Schmidhuber and Cummins 2000).
    In training each part of h is 0 for the next step with probability ``recurrent_dropout``, the same parts at all
    steps. The state is (h, c), what comes out is h; the other settings are those of `Recurrent`.

    Differs from: PyTorch and Keras, which have the same gates in the same order, as one axis (4·units); PyTorch has two
    biases, of which only the sum matters, that start at random, as its weights do. `chainrule.formats.frameworks`
    converts.

    >>> LSTM(128).sizes
    (128, 128)

    Reference: S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997; F. Gers, J. Schmidhuber and F. Cummins,
    "Learning to forget", 2000; F. Gers and J. Schmidhuber, "Recurrent nets that time and count", 2000 (peepholes).
    """

    units: int
    _: KW_ONLY
    sequences: bool = False
    backwards: bool = False
    carry: bool = False
    peepholes: bool = False
    bias: bool = True
    forget_bias: float = 1.0
    recurrent_dropout: float = 0.0
    weight: Initializer | None = None
    recurrent_weight: Initializer | None = None

    @property
    def sizes(self) -> Sizes:
        """What comes out, and the cell."""
        return (self.units, self.units)

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        """The gates, the cell and what comes out."""
        hidden, cell = state
        sums = graph.contract(x, self._weight(scope, x.shape[-1], 4), "bi,igo->bgo")
        if self.bias:
            sums = _biased(scope, sums, (4, self.units), _ForgetBias(float(self.forget_bias)))
        sums = sums + graph.contract(self._seen(scope, hidden), self._recurrent_weight(scope, 4), "bi,igo->bgo")
        enter, keep, new, leave = (sums[:, gate] for gate in range(4))
        if self.peepholes:
            peephole = scope.parameter("peephole", (3, self.units), Constant(0.0))
            to_enter, to_keep, to_leave = (graph.broadcast_to(peephole[gate], cell.shape) for gate in range(3))
            enter, keep = enter + to_enter * cell, keep + to_keep * cell
        cell = graph.sigmoid(keep) * cell + graph.sigmoid(enter) * graph.tanh(new)
        if self.peepholes:
            leave = leave + to_leave * cell
        hidden = graph.sigmoid(leave) * graph.tanh(cell)
        return (hidden, cell), hidden


@dataclass(frozen=True)
class GRU(_Units):
    """Gated recurrent units: one gate for what is new and what is kept, one for what of the past is seen.

    [r, z, a] = xₜ·W + b;  r = σ(r + hₜ₋₁·Uᵣ);  z = σ(z + hₜ₋₁·U_z);  hₜ = (1 - z)·n + z·hₜ₋₁, with
    n = tanh(a + r·(hₜ₋₁·Uₙ + b₃)), or, with ``reset_after=False``, n = tanh(a + (r·hₜ₋₁)·Uₙ), as first published.
    x is (batch, time, n), ``weight`` W is (n, 3, units), ``recurrent_weight`` U is (units, 3, units), both in the order
    reset, update, new; ``bias`` b is (4, units), whose last row is b₃, or (3, units) without it. Each gate of W starts
    as Glorot's and of U orthogonal, b at 0. In training each part of h is 0 for the next step's sums with probability
    ``recurrent_dropout``, the same parts at all steps. What comes out is h; all else is as in `Recurrent`.

    Differs from: PyTorch, which has the same gates in the same order, always resets after the product, and has two
    biases for each gate, of which only the sum matters but for the new. Keras has the order update, reset, new.
    `chainrule.formats.frameworks` converts.

    >>> GRU(128).sizes
    (128,)

    Reference: K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", 2014.
    """

    units: int
    _: KW_ONLY
    sequences: bool = False
    backwards: bool = False
    carry: bool = False
    reset_after: bool = True
    bias: bool = True
    recurrent_dropout: float = 0.0
    weight: Initializer | None = None
    recurrent_weight: Initializer | None = None

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        """The gates and what comes out."""
        (hidden,) = state
        x = graph.contract(x, self._weight(scope, x.shape[-1], 3), "bi,igo->bgo")
        if self.bias:
            x = x + graph.broadcast_to(self._bias(scope)[:3], x.shape)
        seen = self._seen(scope, hidden)
        weight = self._recurrent_weight(scope, 3)
        past = graph.contract(seen, weight if self.reset_after else weight[:, :2], "bi,igo->bgo")
        reset, update = (graph.sigmoid(x[:, gate] + past[:, gate]) for gate in range(2))
        if not self.reset_after:
            inner = (reset * seen) @ weight[:, 2]
        elif self.bias:
            inner = reset * (past[:, 2] + graph.broadcast_to(self._bias(scope)[3], hidden.shape))
        else:
            inner = reset * past[:, 2]
        new = graph.tanh(x[:, 2] + inner)
        hidden = (1.0 - update) * new + update * hidden
        return (hidden,), hidden

    def _bias(self, scope: Scope) -> Node:
        return scope.parameter("bias", (4 if self.reset_after else 3, self.units), Constant(0.0))


@dataclass(frozen=True)
class _ForgetBias:
    """0, and for the second of four gates a number."""

    value: float

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The biases."""
        array = Constant(0.0)(key, shape)
        array[1] = self.value
        return array


def _biased(scope: Scope, sums: Node, shape: tuple[int, ...], first: Initializer) -> Node:
    return sums + graph.broadcast_to(scope.parameter("bias", shape, first), sums.shape)
