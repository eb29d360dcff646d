"""The scope in which a layer is applied: it hands out parameters, state and random numbers by path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, GraphError, ShapeError
from chainrule.graph import Node, Shape, origins
from chainrule.initializers import Initializer

PARAMETERS, STATE, HANDED = "parameters", "state", "handed"
_SHIFTS_AND_SCALES = ("bias", "scale", "shift")


def is_weight(path: str) -> bool:
    """Whether a parameter is a weight, by its name: biases, scales and shifts are not penalised, decayed or noisy.

    >>> is_weight("0.weight"), is_weight("0.bias"), is_weight("1.scale")
    (True, False, False)
    """
    return path.rpartition(".")[2] not in _SHIFTS_AND_SCALES


def fits(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns is of a path, or of a layer that it lies in.

    >>> fits("0.weight", ["0"]), fits("0.1.bias", ["0.*"]), fits("0.bias", ["*.bias"]), fits("10.bias", ["1"])
    (True, True, True, False)
    """
    parts = path.split(".")
    around = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    # "0.*" is all in layer 0, and so is "0".
    return any(fnmatchcase(one, pattern.removesuffix(".*")) for pattern in patterns for one in around)


class Applicable(Protocol):
    """A layer: configuration, and how it is applied to nodes. A plain function of nodes is one as well."""

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The output for these inputs."""


AnyLayer = Applicable | Callable[..., Node]


@dataclass(frozen=True)
class Declaration:
    """An array that lives beside the graph: its path, shape, dtype and first value."""

    name: str
    shape: Shape
    dtype: str
    initializer: Initializer


@dataclass(frozen=True)
class Applied:
    """One line of a model's summary: a layer, where it stands, and what came and went."""

    path: str
    layer: Any
    inputs: tuple[Shape, ...]
    output: Shape
    depth: int
    #: The output itself, for whoever looks at the values of a layer.
    node: Node | None = field(default=None, compare=False, repr=False)
    #: What it was given.
    given: tuple[Node, ...] = field(default=(), compare=False, repr=False)


@dataclass
class Going:
    """Where a model stands that goes on with its sequences, one position at a time."""

    #: How many positions came before this one, int32.
    position: Node
    #: How many there are at most.
    positions: int
    #: Whether a layer keeps something for each position, so that there may be no more.
    bounded: bool = False
    #: What layers hand on to the next position, by the name of the input that it is there.
    handed: dict[str, Node] = field(default_factory=dict)


@dataclass
class Record:
    """What one building of a graph has declared so far, shared by all scopes of it."""

    dtype: str
    seed: Node | None = None
    declared: dict[str, Declaration] = field(default_factory=dict)
    #: The node that stands for an array now: its input at first, its new value once it has been updated.
    values: dict[str, Node] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    applied: list[Applied] = field(default_factory=list)
    kept: list[AnyLayer] = field(default_factory=list)
    #: How often random words were asked for, by path.
    draws: dict[str, int] = field(default_factory=dict)
    #: What layers add to the loss: a scalar, or a number a sample, by the path of the layer.
    added: list[tuple[str, Node]] = field(default_factory=list)
    #: Patterns of what does not learn: layers that work as in prediction, and parameters that stay.
    frozen: tuple[str, ...] = ()
    #: Where the model stands, if it is applied to one position of sequences of which others came before.
    going: Going | None = None

    def declare(self, name: str, shape: Shape, dtype: str, initializer: Initializer) -> Node:
        """The node of the array of this name; the same node, or its update, if it was declared before."""
        known = self.declared.get(name)
        if known is not None and (known.shape, known.dtype) != (shape, dtype):
            raise ConfigurationError(
                f"{name} is {known.dtype}{list(known.shape)}, and is asked for as {dtype}{list(shape)}: "
                "a layer that is used twice must see inputs of one size"
            )
        if known is None:
            self.declared[name] = Declaration(name, shape, dtype, initializer)
            self.values[name] = graph.input(name, shape, dtype)
        return self.values[name]


@dataclass(frozen=True)
class Scope:
    """What a layer sees while it is applied.

    ``path`` is the layer's place ("0", "1.query"); ``training`` is chosen when the graph is built, so that there is no
    flag to forget; ``dtype`` is the dtype of parameters.
    """

    record: Record
    path: str = ""
    training: bool = True
    depth: int = 0
    #: The layers applied in here, by name: two under one name would share their parameters by accident.
    used: dict[str, AnyLayer] = field(default_factory=dict, compare=False, repr=False)
    #: What layers in here are given in the place of each parameter: functions of their scope, its name and its node.
    seen_as: tuple[Callable[[Scope, str, Node], Node], ...] = ()
    #: Which steps of the sequences are there, booleans (batch, time); None where all are. See `Masked`.
    mask: Node | None = None
    #: Where the layer stands in this application; ``path`` is where its object was met first.
    place: str = ""

    @property
    def dtype(self) -> str:
        """The dtype of parameters and activations."""
        return self.record.dtype

    def parameter(self, name: str, shape: Sequence[int], initializer: Initializer) -> Node:
        """An array that is learned; its path is the layer's, then ``name``."""
        node = self.record.declare(f"{PARAMETERS}/{self._below(name)}", tuple(shape), self.dtype, initializer)
        for change in self.seen_as:
            node = change(self, name, node)
        return node

    def state(self, name: str, shape: Sequence[int], initializer: Initializer) -> Node:
        """An array that is kept from step to step without being learned, such as a running mean."""
        return self.record.declare(f"{STATE}/{self._below(name)}", tuple(shape), self.dtype, initializer)

    def update(self, name: str, value: Node) -> None:
        """The new value of a state; in prediction nothing is updated.

        A layer that is applied to several inputs updates it with each of them in turn. One that is applied behind its
        own output is refused with `ConfigurationError`: it sees something else there, and one state would be of both.
        """
        full = f"{STATE}/{self._below(name)}"
        if full not in self.record.declared:
            raise ConfigurationError(f"{self.path}: the state {name!r} is updated before it is declared")
        if self.training:
            self._refuse_behind_itself(name, value)
            self.record.values[full] = graph.stop_gradient(value)

    @property
    def position(self) -> Node:
        """How many positions came before the one that a layer goes on by (`layers.going_on`): an int32 scalar."""
        return self._going().position

    @property
    def positions(self) -> int:
        """How many positions there are at most: asked by a layer that goes on, and cannot do so without end."""
        self._going().bounded = True
        return self._going().positions

    def handed_on(self, name: str, shape: Sequence[int]) -> Node:
        """What was handed on under this name at the position before, by a layer that goes on; at the first it is 0."""
        return graph.input(self._handed(name), shape, self.dtype)

    def hand_on(self, name: str, value: Node) -> None:
        """What `handed_on` gives at the next position. A layer that is applied twice hands on twice."""
        if value.dtype != self.dtype:
            raise DtypeError(f"hands on {self.dtype}, and {name!r} is {value.dtype}; use graph.cast")
        self._going().handed[self._handed(name)] = value

    def so_far(self, name: str, x: Node) -> Node:
        """What came at each position, (batch, positions, …), with x, (batch, 1, …), at this one; 0 at those to come.

        Where positions have been forgotten, what stands at those to come is of before, and means nothing.
        """
        batch, _, *rest = x.shape
        count = self.positions
        here = graph.eq(graph.iota(count), graph.broadcast(self.position, [0], [count]))
        here = graph.broadcast(here, [0, *range(2, x.rank)], [batch, *rest])
        new = graph.broadcast(graph.reshape(x, (batch, *rest)), [1], [count])
        known = graph.select(here, new, self.handed_on(name, (batch, count, *rest)))
        self.hand_on(name, known)
        return known

    def _handed(self, name: str) -> str:
        path = f"{HANDED}/{self._below(name)}"
        times = sum(known.partition(" ")[0] == path for known in self._going().handed)
        return f"{path} {times + 1}" if times else path

    def _going(self) -> Going:
        if self.record.going is None:
            raise ConfigurationError(f"{self.path}: only a layer that goes on, by its go_on, has a position")
        return self.record.going

    def add_loss(self, value: Node) -> None:
        """Something to be added to the loss of whatever this layer is a part of: a scalar, or a number a sample."""
        if value.rank > 1:
            raise ShapeError(f"adds {list(value.shape)} to the loss; it is a scalar, or a number a sample, (batch,)")
        self.record.added.append((self.path, value))

    def bits(self, name: str, shape: Sequence[int]) -> Node:
        """Random uint32 words for this step, by the key (seed, step, path, name); asked again, other words."""
        if self.record.seed is None:
            raise ConfigurationError(f"layer {self.path}: random numbers are asked for in a graph that has no seed")
        size = graph.full(tuple(shape), 0, "uint32").size
        counter = graph.reshape(graph.iota(size, "uint32"), tuple(shape))
        path = self._below(name)
        draw = self.record.draws[path] = self.record.draws.get(path, 0) + 1
        if draw > 1:
            path = f"{path} {draw}"  # a layer applied twice, or a name used twice, must not repeat itself
        return graph.random_bits(graph.broadcast_to(self.record.seed, tuple(shape)), counter, path)

    def uniform(self, name: str, shape: Sequence[int]) -> Node:
        """Random numbers spread evenly over [0, 1), in steps of 2⁻²⁴."""
        return graph.cast(graph.shift_right(self.bits(name, shape), 8), self.dtype) * 2.0**-24

    def normal(self, name: str, shape: Sequence[int]) -> Node:
        """Random numbers of the standard normal distribution, by Box and Muller's transform."""
        radius = graph.power(-2.0 * graph.log1p(-self.uniform(f"{name}/radius", shape)) + 1e-12, 0.5)
        return radius * graph.cos(6.283185307179586 * self.uniform(f"{name}/angle", shape))

    def apply(self, layer: AnyLayer, *inputs: Node, name: str | int) -> Node:
        """Apply a layer below this one. The same layer object has the same parameters wherever it is applied."""
        record = self.record
        path = self._below(str(name))
        place = ".".join(filter(None, (self.place, str(name))))
        if hasattr(layer, "apply"):
            if self.used.setdefault(str(name), layer) is not layer:
                raise ConfigurationError(
                    f"two layers are applied as {path!r}, so that they would share their parameters: "
                    "give them two names, or make one layer and apply it twice"
                )
            path = record.paths.setdefault(id(layer), path)
        record.kept.append(layer)  # an object that is gone would let its id be taken by another
        training = self.training and not fits(path, record.frozen)
        inner = Scope(record, path, training, self.depth + 1, seen_as=self.seen_as, mask=self.mask, place=place)
        line = len(record.applied)
        with origins.scope(path, absolute=True):
            try:
                output = self._output(layer, inner, inputs)
            except GraphError as error:
                if getattr(error, "located", False):
                    raise
                located = type(error)(
                    f"layer {path or 'of the model'} ({_title(layer)}), given {_shapes(inputs)}: {error}"
                )
                located.located = True  # type: ignore[attr-defined]
                raise located from error
        if not isinstance(output, Node):
            raise ConfigurationError(f"layer {path} ({_title(layer)}) gave {type(output).__name__}, not a node")
        shapes = tuple(x.shape for x in inputs)
        record.applied.insert(line, Applied(path, layer, shapes, output.shape, self.depth, output, inputs))
        return output

    def _output(self, layer: AnyLayer, inner: Scope, inputs: tuple[Node, ...]) -> Node:
        if self.record.going is not None and hasattr(layer, "go_on"):
            output: Node = layer.go_on(inner, *inputs)
            return output
        return layer.apply(inner, *inputs) if hasattr(layer, "apply") else layer(*inputs)

    def _refuse_behind_itself(self, name: str, value: Node) -> None:
        """Raise where what a layer is to keep comes from what it gave before, through layers."""
        before = [one for one in self.record.applied if one.path == self.path and one.node is not None]
        if not before:
            return
        outputs, seen, waiting = {one.node for one in before}, {value}, [value]
        while waiting:
            node = waiting.pop()
            if node in outputs:
                raise ConfigurationError(
                    f"layer {self.path} ({_title(before[0].layer)}) is applied again at {self.place}, behind its own "
                    f"output, and keeps one {name!r} for both places, where it sees different things: in prediction it "
                    "would be right for neither. Make a layer for each place"
                )
            if node.op != "stop_gradient":  # what was learned or kept of it before is no value of this pass
                waiting += [below for below in node.inputs if below not in seen]
                seen.update(node.inputs)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name


def one_input(inputs: Sequence[Node]) -> Node:
    """The input of a layer that takes one."""
    if len(inputs) != 1:
        raise ShapeError(f"takes one input, and got {len(inputs)}")
    return inputs[0]


def _title(layer: AnyLayer) -> str:
    return getattr(layer, "__name__", None) or repr(layer)


def _shapes(inputs: Sequence[Node]) -> str:
    return " and ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
