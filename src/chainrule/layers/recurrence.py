"""Recurrence: a cell that goes through a sequence step by step, with a state; any cell will do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Protocol

from chainrule import graph
from chainrule.errors import CannotGoOnError, ConfigurationError, DtypeError, GraphError, ShapeError
from chainrule.graph import Node
from chainrule.initializers import Constant
from chainrule.layers.masking import mask_of
from chainrule.layers.scope import Scope

#: What a cell hands on from step to step: arrays (batch, …).
State = tuple[Node, ...]
#: The shape of each part of a state, without the batch: a number stands for one axis.
Sizes = tuple[int | tuple[int, ...], ...]
#: What the state that is carried from batch to batch is called.
CARRIED = "carried"
StepOf = Callable[[Scope, State, Node], tuple[State, Node]]


class Cell(Protocol):
    """One step of a recurrence, with the sizes of its state."""

    @property
    def sizes(self) -> Sizes:
        """The shape of each part of the state, without the batch."""

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        """The state after a step, and what comes out of it."""


class Looping:
    """A layer that is a cell, applied at each step of a sequence; `Recurrent` says what its settings mean."""

    sequences: bool
    backwards: bool
    carry: bool

    def __post_init__(self) -> None:
        who = type(self).__name__
        for name in ("sequences", "backwards", "carry"):
            if not isinstance(value := getattr(self, name), bool):
                raise ConfigurationError(f"{who}: {name} is True or False, not {value!r}")
        if self.carry and self.backwards:
            raise ConfigurationError(
                f"{who}: a state is carried from batch to batch forwards in time, so not backwards"
            )

    @property
    def sizes(self) -> Sizes:
        """The shape of each part of the state, without the batch."""
        raise NotImplementedError

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        """The state after a step, and what comes out of it; x is (batch, …), the input at one time."""
        raise NotImplementedError

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, features), and first states if there are any -> (batch, units), or (batch, time, units)."""
        if not inputs:
            raise ShapeError("takes a sequence, and got nothing")
        return self.unroll(scope, *inputs)[0]

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        """The next position, (batch, 1, features) -> (batch, 1, units), from the state after those before it."""
        if len(inputs) != 1 or not self.sequences or self.backwards:
            raise CannotGoOnError("only a layer that goes forwards and gives each output goes on step by step")
        return self.unroll(scope, *inputs)[0]

    def unroll(self, scope: Scope, x: Node, *start: Node) -> tuple[Node, State]:
        """What comes out, and the state after the last step, for a layer that hands it to another."""
        self._check_input(scope, x)
        mask = mask_of(scope, x)
        met = len(scope.record.applied)
        given = self._start(scope, x.shape[0], start)
        rows = [graph.transpose(x, (1, 0, *range(2, x.rank)))]
        if mask is not None:
            rows.append(graph.transpose(mask))
        in_state: list[int] = []

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            state, output = _checked(carries, self.step(scope, tuple(carries), slices[0]))
            in_state.extend(place for place, part in enumerate(state) if part is output)
            if mask is not None:
                state = tuple(_kept(slices[1], new, old) for new, old in zip(state, carries, strict=True))
                output = _kept(slices[1], output, 0.0) if self.sequences else output
            return [*state], [output] if self.sequences or not in_state else []

        lasts, stacks = graph.scan(body, given, rows, reverse=self.backwards)
        for place, one in enumerate(scope.record.applied[met:], met):
            # Inside the loop there is no one value to look at.
            scope.record.applied[place] = replace(one, node=None, given=())
        for number, last in enumerate(lasts):
            if scope.record.going is not None:
                scope.hand_on(f"{CARRIED}.{number}", last)
            elif self.carry and scope.training:
                scope.update(f"{CARRIED}.{number}", last)
        if not self.sequences:
            return (lasts[in_state[0]] if in_state else self._last(stacks[0], mask)), tuple(lasts)
        (y,) = stacks
        return graph.transpose(y, (1, 0, *range(2, y.rank))), tuple(lasts)

    def _last(self, y: Node, mask: Node | None) -> Node:
        """The output of the last step that is there; where none is, 0."""
        time, batch = y.shape[:2]
        if mask is None:
            return y[0 if self.backwards else time - 1]
        steps = graph.broadcast_to(graph.iota(time), (batch, time))
        if self.backwards:
            steps = -steps
        last = graph.max(graph.select(mask, steps, -time), 1)
        place = -last if self.backwards else last
        return graph.gather(graph.transpose(y, (1, 0, *range(2, y.rank))), place, axis=1, batch=1)

    def _start(self, scope: Scope, batch: int, start: Sequence[Node]) -> list[Node]:
        shapes = [(batch, *(size if isinstance(size, tuple) else (size,))) for size in self.sizes]
        if start:
            if self.carry:
                raise ShapeError("carries its state from batch to batch, so it is given none")
            if [node.shape for node in start] != shapes:
                wanted, came = (" and ".join(str(list(shape)) for shape in some)
                                for some in (shapes, [node.shape for node in start]))  # fmt: skip
                raise ShapeError(f"its first state is {wanted}, and {came} came")
            return list(start)
        if scope.record.going is not None:
            return [scope.handed_on(f"{CARRIED}.{n}", shape) for n, shape in enumerate(shapes)]
        if self.carry and scope.training:
            return [scope.state(f"{CARRIED}.{n}", shape, Constant(0.0)) for n, shape in enumerate(shapes)]
        return [graph.full(shape, 0.0, scope.dtype) for shape in shapes]

    def _check_input(self, scope: Scope, x: Node) -> None:
        if x.rank < 3:
            advice = " (an Embedding makes features of indices)" if x.rank == 2 else ""
            raise ShapeError(f"wants sequences, (batch, time, features), and got {list(x.shape)}{advice}")
        if x.shape[1] == 0:
            raise ShapeError(f"wants sequences of one step or more, and got {list(x.shape)}")
        if x.dtype != scope.dtype:
            raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")


def _checked(old: Sequence[Node], given: Any) -> tuple[State, Node]:
    """What a step gave, if it is a state like the one it was given, and a node."""
    pair = given if isinstance(given, tuple) and len(given) == 2 else (None, None)
    state, output = pair
    if not isinstance(state, tuple) or not isinstance(output, Node):
        raise GraphError(f"a step gives (state, output), a tuple of nodes and a node, and this one gave {given!r}")
    before, after = ([(node.shape, node.dtype) for node in some] for some in (old, state))
    if before != after:
        texts = (" and ".join(f"{dtype}{list(shape)}" for shape, dtype in some) for some in (before, after))
        raise ShapeError("a step was given the state {}, and gave {}: it stays what it is".format(*texts))
    return state, output


def _kept(mask: Node, new: Node, old: Node | float) -> Node:
    return graph.select(graph.broadcast(mask, range(1, new.rank), new.shape[1:]), new, old)


@dataclass(frozen=True)
class Recurrent(Looping):
    """A ``cell`` of your own at each step of a sequence: (sₜ, yₜ) = cell(sₜ₋₁, xₜ).

    ``cell`` is a function of (scope, state, x) that gives (state, output), or an object whose ``step`` is one; state is
    a tuple of nodes (batch, …), x is (batch, features), and what it asks the scope for are the layer's parameters, the
    same at each step. ``sizes`` are those of the state's parts without the batch, a number for one axis: (64, 64) for
    two parts (batch, 64); an object may say them itself. Random numbers are drawn once for all steps, so that dropout
    in a cell is one mask for a whole sequence (Gal and Ghahramani 2016).

    The input is (batch, time, features), and a state may follow it, part by part, in the place of zeros. What comes out
    is the output of the last step, or with ``sequences`` that of each, (batch, time, …). With ``backwards`` time runs
    from the last step to the first, and outputs keep their places. With ``carry`` training starts each batch with the
    state in which the one before ended, as a state of the run that no gradient passes: truncated backpropagation
    through time. Row i of a batch goes on where row i of the one before stopped, so the data are in that order,
    ``shuffle=False``, and divide into whole batches; prediction starts at 0, and so does each epoch with the callback
    `training.ForgetState`. See `Masked` for sequences of several lengths.

    Raises `ShapeError` where the state changes its shape.

    >>> def leaky(scope, state, x):
    ...     (kept,) = state
    ...     kept = 0.9 * kept + 0.1 * x
    ...     return (kept,), kept
    >>> Recurrent(leaky, sizes=(8,)).sizes
    (8,)

    Reference: J. Elman, "Finding structure in time", 1990; R. Williams and J. Peng, "An efficient gradient-based
    algorithm for on-line training of recurrent network trajectories", 1990 (truncation).
    """

    cell: Cell | StepOf
    sizes: Sizes = ()
    _: KW_ONLY
    sequences: bool = False
    backwards: bool = False
    carry: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cell, type) or not (hasattr(self.cell, "step") or callable(self.cell)):
            raise ConfigurationError(
                f"Recurrent: cell is a function of (scope, state, x), or has such a step, and is not {self.cell!r}"
            )
        sizes = self.sizes or getattr(self.cell, "sizes", ())
        if not isinstance(sizes, list | tuple) or not sizes or not all(map(_is_size, sizes)):
            raise ConfigurationError(
                f"Recurrent: sizes are those of the state's parts, such as (64,), and not {sizes!r}"
            )
        object.__setattr__(self, "sizes", tuple(tuple(s) if isinstance(s, list) else s for s in sizes))

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        """The cell's."""
        step: StepOf = getattr(self.cell, "step", None) or self.cell  # type: ignore[assignment]
        return step(scope, state, x)


def _is_size(size: Any) -> bool:
    parts = size if isinstance(size, list | tuple) else (size,)
    return all(isinstance(part, int) and not isinstance(part, bool) and part > 0 for part in parts)


@dataclass(frozen=True)
class Bidirectional:
    """A recurrent ``layer`` twice, forwards and backwards in time, each with parameters of its own.

    What both give comes together: ``combine`` is "concatenate", so that (…, n) becomes (…, 2·n), or "add". The paths
    are "forward" and "backward". Where the layer gives the last state alone, that of the way back is the one after the
    first step.

    >>> from chainrule.layers import LSTM
    >>> Bidirectional(LSTM(64, sequences=True)).combine
    'concatenate'

    Reference: M. Schuster and K. Paliwal, "Bidirectional recurrent neural networks", 1997.
    """

    layer: Looping
    combine: str = "concatenate"

    def __post_init__(self) -> None:
        if not isinstance(self.layer, Looping):
            raise ConfigurationError(f"Bidirectional: layer is a recurrent one, such as LSTM(64), not {self.layer!r}")
        if self.layer.carry or self.layer.backwards:
            raise ConfigurationError("Bidirectional: the layer goes forwards, and carries no state between batches")
        if self.combine not in ("concatenate", "add"):
            raise ConfigurationError(f"Bidirectional: combine is 'concatenate' or 'add', not {self.combine!r}")

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, features) -> what the layer gives, of both ways."""
        twin: Any = self.layer
        back = replace(twin, backwards=True)
        count = len(self.layer.sizes)
        x, *start = inputs
        ways = (start[:count], start[count:])
        first = scope.apply(self.layer, x, *ways[0], name="forward")
        second = scope.apply(back, x, *ways[1], name="backward")
        return first + second if self.combine == "add" else graph.concatenate([first, second], -1)
