"""How one gradient came about: the derivation, read off the graph, as numbers and formulas."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.explain.differences import measure_slope
from chainrule.explain.naming import MOVES
from chainrule.explain.over_time import StepTerm, terms_over_time
from chainrule.explain.paths import Step, largest_paths, product
from chainrule.explain.point import Point, points, refuse_infinite, values_of
from chainrule.explain.stopping import with_stopped_values
from chainrule.explain.symbols import Symbols, multiplied
from chainrule.explain.update import Update, update_of
from chainrule.graph import Graph, Node
from chainrule.layers.scope import PARAMETERS

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Array = NDArray[Any]

#: Ops whose step is not worth a line of its own where its derivative is exactly 1.
_PLAIN = MOVES | frozenset(("add", "sub", "sum", "mul", "div"))


@dataclass(frozen=True)
class Link:
    """One element on a path: its ``value``, and ``local``, the derivative of the element above it (nearer the loss).

    ``formula`` is that derivative in terms of named elements; ``product`` is that of all local derivatives so far:
    what this path gives to ∂loss/∂element. ``named`` elements have a name of their own (net, h, a parameter);
    ``folded`` steps only hand a value on, by a derivative of exactly 1.
    """

    name: str
    op: str
    layer: str
    value: float
    formula: str
    local: float
    product: float
    named: bool
    folded: bool


@dataclass(frozen=True)
class Path:
    """One scalar path, from the loss down to the parameter, and its part of the gradient."""

    product: float
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Quantity:
    """A named element of the forward pass: what it is made of, and its value."""

    name: str
    definition: str
    value: float


@dataclass(frozen=True)
class Factor:
    """∂of/∂by between two named elements, as a formula and a number: one factor of the chain rule as it is taught."""

    of: str
    by: str
    formula: str
    value: float


@dataclass(frozen=True)
class Explanation:
    """The gradient of one parameter for one sample; ``str`` of it is the derivation as text.

    ``gradient`` is backpropagation's; ``paths`` are its largest parts, of ``count`` in all (``exact`` says that none
    larger was passed over), and ``remainder`` is all that they leave: parts and remainder sum to the gradient.
    ``measured`` is the slope by central differences, ``uncertain`` by so much; ``corner`` says that there is no single
    slope. ``forward`` are the values along the largest path, ``chain`` the factors of the chain rule where that path is
    the only one. ``update`` is what this sample would do to the parameter. ``steps`` are the terms of a parameter that
    loops over time read, one for each step of each. All of it is in float64.
    """

    parameter: str
    sample: int
    value: float
    loss: float
    gradient: float
    paths: tuple[Path, ...]
    count: float
    exact: bool
    remainder: float
    measured: float
    uncertain: float
    corner: bool
    forward: tuple[Quantity, ...]
    chain: tuple[Factor, ...]
    symbols: tuple[tuple[str, str, str], ...]
    update: Update
    notes: tuple[str, ...]
    steps: tuple[StepTerm, ...] = ()

    @property
    def difference(self) -> float:
        """The gradient less the slope that was measured."""
        return self.gradient - self.measured

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "difference": self.difference}

    def text(self) -> str:
        """The derivation as text, at most 100 columns wide."""
        from chainrule.explain.telling import tell

        return "\n".join(tell(self))

    def __str__(self) -> str:
        return self.text()


def explain(run: Run, data: Data, sample: int, parameter: str, *, paths: int = 12) -> Explanation:
    """How the gradient of one parameter ("0.weight[3,2]") for one sample (a row of the data) came about.

    By the chain rule, ∂loss/∂w is the sum, over all paths from w to the loss, of the product of the local derivatives
    along the path. There are combinatorially many: the ``paths`` largest are found, and what they leave is stated, so
    that the parts sum to the gradient. Each local derivative is asked of the rule table, as a number and as a formula.
    Beside them stands the slope that is measured by moving w, and the update that this sample alone would cause.

    Raises `ConfigurationError` for a parameter that does not exist, with those that do; `DataError` for a sample that
    does not; `NotFiniteError`, which names the node, if the loss is not finite.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("iris")
    >>> run = cr.prepare(cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3)), train)
    >>> found = explain(run, test, 7, "0.weight[2,1]")
    >>> abs(found.difference) < 1e-9, found.count
    (True, 4.0)
    """
    if isinstance(paths, bool) or not isinstance(paths, int) or paths < 1:
        raise ConfigurationError(f"paths is how many paths to show, at least 1, not {paths!r}")
    path, index = parse_parameter(run, parameter)
    found = [point for point in points(run, data, [sample]) if path in point.parameters]
    if not found:
        raise ConfigurationError(f"the step {run.step.name} never descends in {path}, so it has no gradient")
    point = found[0]
    refuse_infinite(point.graph, point.arrays, f"the loss of sample {sample}")
    loss, start = point.graph.outputs["loss"], point.graph.inputs.get(f"{PARAMETERS}/{path}")
    values = values_of(Graph({"loss": loss}), point.arrays)
    slopes = ReferenceEngine().compile(Graph({"g": point.graph.outputs[f"gradient/{path}"]})).run(point.arrays)["g"]
    gradient = float(slopes[index])
    shape = slopes.shape
    place = int(np.ravel_multi_index(index, shape)) if shape else 0
    title = f"{path}[{','.join(map(str, index))}]" if shape else path
    notes = list(_notes(point, found, run))
    symbols = Symbols(point.graph, loss, values)
    if start is None or start not in values:
        ways: tuple[tuple[Step, ...], ...] = ()
        count, exact = 0.0, True
        notes.append("The loss does not depend on this parameter at all: no path leads from one to the other.")
    else:
        search = largest_paths(loss, start, place, values, paths)
        ways, count, exact = search.paths, search.count, search.exact
        if not ways:
            ends = list(dict.fromkeys(symbols.label(node, at) for node, at in search.ends))
            notes.append(f"No path leads to the loss: it ends at {', '.join(ends[:4])}{', …' * (len(ends) > 4)}.")
    parts = tuple(_path(point.graph, way, symbols) for way in ways)
    forward = _forward(ways[0], symbols) if ways else ()
    chain = _chain(ways[0], symbols) if count == 1 else ()
    texts = [text for part in parts for link in part.links if not link.folded for text in (link.name, link.formula)]
    texts += [quantity.definition for quantity in forward] + [factor.formula for factor in chain]
    measured = _measure(point, path, index)
    if measured.corner:
        notes.append("The loss has a corner at this very point (the kink of a ReLU, say), so there is no single slope.")
    return Explanation(
        parameter=title,
        sample=int(sample),
        value=float(np.asarray(run.arrays[f"{PARAMETERS}/{path}"])[index]),
        loss=float(values[loss]),
        gradient=gradient,
        paths=parts,
        count=count,
        exact=exact,
        remainder=math.fsum([gradient, *(-part.product for part in parts)]),
        measured=measured.value,
        uncertain=measured.uncertainty,
        corner=measured.corner,
        forward=forward,
        chain=chain,
        symbols=tuple(symbols.definitions(texts)),
        update=update_of(run, data, sample, path, index, gradient),
        notes=tuple(notes),
        steps=() if start is None else terms_over_time(point.graph, loss, start, index, point.arrays, values),
    )


def parse_parameter(run: Run, parameter: str) -> tuple[str, tuple[int, ...]]:
    """The path and the index that a text such as "0.weight[3,2]" names.

    Raises `ConfigurationError`, which lists the parameters and their shapes, if there is no such element.
    """
    shapes = {path: array.shape for path, array in run.parameters.items()}
    told = ", ".join(f"{path} {list(shape)}" for path, shape in shapes.items())
    match = re.fullmatch(r"\s*([^\[\]\s]+)\s*(?:\[([^\[\]]*)\])?\s*", str(parameter))
    if match is None:
        raise ConfigurationError(
            f'{parameter!r} does not name a parameter; write it as "0.weight[3,2]". There are {told}'
        )
    path, inside = match[1], match[2]
    if path not in shapes:
        raise ConfigurationError(f"there is no parameter {path!r}; there are {told}")
    shape = shapes[path]
    wanted = f"{path} is {list(shape)}, so an element is {_example(path, shape)}"
    try:
        index = tuple(int(part) for part in (inside or "").split(",") if part.strip())
    except ValueError:
        raise ConfigurationError(f"{parameter!r} does not name an element by whole numbers: {wanted}") from None
    if inside is None and math.prod(shape) == 1:
        index = (0,) * len(shape)
    if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
        raise ConfigurationError(f"there is no element {parameter!r}: {wanted}")
    return path, index


def _example(path: str, shape: tuple[int, ...]) -> str:
    ranges = ",".join(f"0…{size - 1}" if size > 1 else "0" for size in shape)
    return f"{path}[{ranges}]" if shape else path


def _notes(point: Point, found: Sequence[Point], run: Run) -> list[str]:
    notes = []
    if len(found) > 1:
        notes.append(
            f"The step descends {len(found)} times in this parameter; this is the gradient of the first descent."
        )
    if any(node.op == "random_bits" for node in Graph({"loss": point.graph.outputs["loss"]}).nodes):
        notes.append(f"Random numbers are those of step {int(run.arrays['step'])} for a batch of this one sample.")
    return notes


def _measure(point: Point, path: str, index: tuple[int, ...]) -> Any:
    """The slope of the loss in one element, with what is stopped held at its value."""
    loss, arrays = with_stopped_values(point.graph.outputs["loss"], point.arrays)
    name = f"{PARAMETERS}/{path}"
    program = ReferenceEngine().compile(Graph({"loss": loss}))

    def along(t: float) -> float:
        if name not in arrays:
            return 0.0
        moved = arrays[name].copy()
        moved[index] += t
        return float(program.run({**arrays, name: moved})["loss"])

    return measure_slope(along)


def _path(graph: Graph, way: Sequence[Step], symbols: Symbols) -> Path:
    links: list[Link] = []
    shown = ""
    so_far = 1.0
    for above, step in zip((None, *way), way, strict=False):
        so_far *= step.derivative
        origin = graph.origins.get(step.node)
        formula = "1" if above is None else _formula(symbols, above, step)
        named = step.node in symbols.names
        name = symbols.label(step.node, step.place)
        # What only moves an element goes by the name of the element, which need not be told twice.
        told = not named and above is not None and above.node.op in _PLAIN
        again = bool(links) and links[-1].name == name == shown
        folded = step.derivative == 1.0 and (told or again)
        shown = shown if folded else name
        links.append(
            Link(
                name=name,
                op=step.node.op,
                layer=origin.path if origin is not None else "",
                value=symbols.value(step.node, step.place),
                formula=formula,
                local=step.derivative,
                product=so_far,
                named=named,
                folded=folded,
            )
        )
    return Path(product(way), tuple(links))


def _derivative(symbols: Symbols, above: Step, step: Step) -> Node | None:
    return symbols.derivative(above.node, above.place, step.position, step.place, step.derivative)


def _formula(symbols: Symbols, above: Step, step: Step) -> str:
    derivative = _derivative(symbols, above, step)
    if derivative is None:
        return "through the loop" if above.node.op in ("last", "stack") else f"by the rule of {above.node.op}"
    return symbols.text(multiplied([derivative]))


def _landmarks(way: Sequence[Step], symbols: Symbols) -> list[int]:
    return [n for n, step in enumerate(way) if step.node in symbols.names]


def _forward(way: Sequence[Step], symbols: Symbols) -> tuple[Quantity, ...]:
    """The named elements of a path, from the parameter up."""
    steps = [way[n] for n in reversed(_landmarks(way, symbols))]
    return tuple(
        Quantity(
            symbols.label(step.node, step.place),
            symbols.definition(step.node, step.place),
            symbols.value(step.node, step.place),
        )
        for step in steps
    )


def _chain(way: Sequence[Step], symbols: Symbols) -> tuple[Factor, ...]:
    """The chain rule between the named elements of a path; nothing if a step on it has no formula."""
    places = _landmarks(way, symbols)
    factors = []
    for upper, lower in itertools.pairwise(places):
        formulas, value = [], 1.0
        for n in range(upper, lower):
            derivative = _derivative(symbols, way[n], way[n + 1])
            if derivative is None:
                return ()
            formulas.append(derivative)
            value *= way[n + 1].derivative
        above, below = (symbols.label(way[n].node, way[n].place) for n in (upper, lower))
        factors.append(Factor(above, below, symbols.text(multiplied(formulas)), value))
    return tuple(factors)
