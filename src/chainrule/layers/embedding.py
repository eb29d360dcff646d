"""Embeddings: a row of numbers that is learned for each symbol."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.errors import ConfigurationError, DataError, DtypeError, ShapeError
from chainrule.graph import FLOATS, INTEGERS, Node
from chainrule.initializers import Initializer, Normal
from chainrule.layers.masking import mask_of, where
from chainrule.layers.scope import Scope, one_input

#: Up to here float32 holds each whole number.
_EXACT = 2**24


class _Table:
    symbols: int
    units: int
    weight: Initializer | None

    def __post_init__(self) -> None:
        for name in ("symbols", "units"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{type(self).__name__}: {name} is a whole number above 0, not {value!r}")

    def check_inputs(self, x: NDArray[Any]) -> None:
        """Raise `DataError`, naming the first, for what is no index of a symbol; see `training.feeding`."""
        if not x.size:
            return
        whole = x.dtype.kind != "f" or bool((np.floor(x) == x).all())
        if whole and x.min() >= 0 and x.max() < self.symbols:
            return
        wrong = ~((x >= 0) & (x < self.symbols) & (np.floor(x) == x))
        place = tuple(int(part) for part in np.argwhere(wrong)[0])
        where_in = f"row {place[0]}" + (f", place {', '.join(map(str, place[1:]))}" if place[1:] else "")
        raise DataError(
            f"{type(self).__name__}: {where_in}: {x[place]:g} is no index of its {self.symbols:,} symbols, which are "
            f"whole numbers from 0 to {self.symbols - 1}"
        )

    def _rows(self, scope: Scope, x: Node) -> Node:
        if x.rank < 1:
            raise ShapeError("wants a batch of indices, and got one number")
        if x.dtype not in (*INTEGERS, *FLOATS):
            raise DtypeError(f"wants indices, and got {x.dtype}")
        if x.dtype == "float32" and self.symbols > _EXACT:
            raise DtypeError(f"wants whole numbers: float32 does not hold each of {self.symbols:,} indices")
        first = self.weight or Normal(1 / math.sqrt(self.units))
        table = scope.parameter("weight", (self.symbols, self.units), first)
        return graph.gather(table, graph.cast(x, "int32"))


@dataclass(frozen=True)
class Embedding(_Table):
    """A row of ``units`` numbers for each of ``symbols`` symbols: y = E[x].

    x is indices from 0 to ``symbols`` - 1, (batch, …), such as (batch, time); ``weight`` E is (symbols, units), and y
    is (batch, …, units). Indices are whole numbers of any dtype, floats too, as the inputs of a data set are. Rows
    start normal, of length 1 on average. Data with an index out of range are refused; in a graph of your own, or where
    other layers stand before this one, such an index reads 0.

    The gradient is 0 for the rows that a batch does not meet. Plain descent and AdaGrad leave those rows alone; Adam,
    with its averages, moves them all the same, unless it is ``optimizers.Adam(lazy=True)``.

    Differs from: PyTorch, whose rows start with variance 1, and Keras, uniform(±0.05).

    >>> Embedding(1000, 64).units
    64

    Reference: Y. Bengio, R. Ducharme, P. Vincent and C. Jauvin, "A neural probabilistic language model", 2003.
    """

    symbols: int
    units: int
    weight: Initializer | None = None

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …) -> (batch, …, units)."""
        return self._rows(scope, one_input(inputs))


@dataclass(frozen=True)
class EmbeddingBag(_Table):
    """The rows of several symbols as one, their sum or mean: y = Σ wⱼ·E[xⱼ], divided by Σ wⱼ for the mean.

    x is (batch, count) indices, such as the words of a text or the entries of a sparse row that are not 0, and a second
    input, (batch, count), has the weights w of these entries, 1 if there are none. ``combine`` is "mean" or "sum". In
    `Masked`, indices that only fill up are left out; a bag of none is 0. All else is as in `Embedding`.

    Differs from: PyTorch, which has offsets into one long list, and weights for the sum alone.

    >>> EmbeddingBag(1000, 64, "sum").combine
    'sum'

    Reference: A. Joulin et al., "Bag of tricks for efficient text classification", 2017.
    """

    symbols: int
    units: int
    combine: str = "mean"
    weight: Initializer | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.combine not in ("mean", "sum"):
            raise ConfigurationError(f"EmbeddingBag: combine is 'mean' or 'sum', not {self.combine!r}")

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, count) -> (batch, units)."""
        if len(inputs) not in (1, 2):
            raise ShapeError(f"takes indices, and weights if there are any, and got {len(inputs)} inputs")
        x = inputs[0]
        if x.rank != 2:
            raise ShapeError(f"wants bags of indices, (batch, count), and got {list(x.shape)}")
        if len(inputs) == 2 and (inputs[1].shape != x.shape or inputs[1].dtype != scope.dtype):
            raise ShapeError(
                f"weights are {scope.dtype}{list(x.shape)}, one an index, and these are "
                f"{inputs[1].dtype}{list(inputs[1].shape)}"
            )
        given = inputs[1] if len(inputs) == 2 else graph.full(x.shape, 1.0, scope.dtype)
        weights = where(mask_of(scope, x), given)
        y = graph.contract(weights, self._rows(scope, x), "bn,bnu->bu")
        if self.combine == "sum":
            return y
        total = graph.sum(weights, 1)
        total = graph.select(graph.eq(total, 0), 1.0, total)  # a bag of none is 0, as its sum is
        return y / graph.broadcast(total, [1], [self.units])
