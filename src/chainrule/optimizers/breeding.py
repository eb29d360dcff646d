"""What a genetic algorithm is made of: selections, crossovers and mutation, each a few nodes of the step's graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import minimum
from chainrule.optimizers.populations import len_of
from chainrule.optimizers.schedules import InverseTime
from chainrule.optimizers.updates import Number, Part, Tree, UpdateScope, check_rate, times


class Selection(Protocol):
    """How parents are chosen by the losses of a population."""

    def choose(self, scope: UpdateScope, losses: Node, count: int) -> Node:
        """The numbers of ``count`` members, int32 (count,), each drawn for itself."""


class Crossover(Protocol):
    """How a child comes of two parents."""

    def cross(self, scope: UpdateScope, first: Tree, second: Tree) -> Tree:
        """The children of as many pairs as there are: (children, …) for each path, as the parents are."""


def _uniform(scope: UpdateScope, name: str, count: int) -> Node:
    return scope.uniform(name, "", graph.full((count,), 0, scope.record.dtype))


def _among(uniform: Node, size: int) -> Node:
    """A number from 0 to size - 1, each as likely, of one that is even over [0, 1)."""
    return minimum(graph.cast(graph.floor(uniform * float(size)), "int32"), size - 1)


@dataclass(frozen=True)
class Tournament(Part):
    """Of ``size`` members, drawn with replacement, the best is chosen: the larger, the harder the selection.

    Of n members the one that r others are better than is chosen with probability ((n - r)ᵏ - (n - r - 1)ᵏ) / nᵏ, with
    k = ``size``.

    >>> Tournament(2).size
    2

    Reference: D. Goldberg and K. Deb, "A comparative analysis of selection schemes used in genetic algorithms", 1991.
    """

    size: int = 3

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ConfigurationError(f"Tournament: size is a whole number above 0, not {self.size!r}")

    def choose(self, scope: UpdateScope, losses: Node, count: int) -> Node:
        """The winners of as many tournaments."""
        drawn = _among(_uniform(scope, "tournament", count * self.size), losses.shape[0])
        entered = graph.reshape(drawn, (count, self.size))
        winner = graph.argmax(-graph.gather(losses, entered), 1)
        return graph.reshape(graph.gather(entered, graph.reshape(winner, (count, 1)), 1, 1), (count,))


@dataclass(frozen=True)
class Roulette(Part):
    """A member is chosen with a probability in proportion to its fitness: how much its loss is below the worst.

    pᵢ = (w - Lᵢ) / Σⱼ (w - Lⱼ), with w the largest finite loss of the population; all are as likely where all are
    equal. The worst is never chosen, and adding a number to the loss changes nothing.

    >>> Roulette()
    Roulette()

    Reference: J. Holland, "Adaptation in natural and artificial systems", 1975; measuring from the worst: D. Goldberg,
    "Genetic algorithms in search, optimization and machine learning", 1989.
    """

    def choose(self, scope: UpdateScope, losses: Node, count: int) -> Node:
        """Where the wheel stops, as many times."""
        size = losses.shape[0]
        good = losses < math.inf
        least = graph.broadcast_to(-graph.max(-losses), (size,))
        worst = graph.max(graph.select(good, losses, least))
        fitness = graph.select(good, graph.broadcast_to(worst, (size,)) - losses, 0.0)
        numbers = graph.iota(size)
        upto = graph.broadcast(numbers, [0], [size]) <= graph.broadcast(numbers, [1], [size])
        ends = graph.sum(graph.select(upto, graph.broadcast(fitness, [0], [size]), 0.0), 1)
        drawn = _uniform(scope, "roulette", count)
        stops = times(ends[size - 1], drawn)
        passed = graph.broadcast(ends, [0], [count]) <= graph.broadcast(stops, [1], [size])
        found = minimum(graph.sum(graph.cast(passed, "int32"), 1), size - 1)
        flat = graph.broadcast_to(ends[size - 1] <= 0.0, (count,))
        return graph.select(flat, _among(drawn, size), found)


@dataclass(frozen=True)
class UniformCrossover(Part):
    """Each weight of a child is of either parent: of the second with probability ``share``.

    With probability 1 - ``rate`` a child is not crossed, and is the first parent.

    >>> UniformCrossover(0.8).share
    0.5

    Reference: G. Syswerda, "Uniform crossover in genetic algorithms", 1989.
    """

    rate: Number = 0.9
    share: Number = 0.5

    def __post_init__(self) -> None:
        check_share("UniformCrossover", "rate", self.rate)
        check_share("UniformCrossover", "share", self.share)

    def cross(self, scope: UpdateScope, first: Tree, second: Tree) -> Tree:
        """The children."""
        share, crossed = scope.number("share", self.share), _crossed(scope, self.rate, len_of(first))
        children: Tree = {}
        for path, one in first.items():
            swapped = scope.uniform("swap", path, one) < graph.broadcast_to(share, one.shape)
            taken = graph.logical_and(swapped, _for_each(crossed, one))
            children[path] = graph.select(taken, second[path], one)
        return children


@dataclass(frozen=True)
class ArithmeticCrossover(Part):
    """A child lies between its parents: a·x + (1 - a)·y, with an a of each child's own, even over [0, 1).

    With probability 1 - ``rate`` a child is not crossed, and is the first parent.

    >>> ArithmeticCrossover().rate
    0.9

    Reference: Z. Michalewicz, "Genetic algorithms + data structures = evolution programs", 1992 (whole arithmetical
    crossover).
    """

    rate: Number = 0.9

    def __post_init__(self) -> None:
        check_share("ArithmeticCrossover", "rate", self.rate)

    def cross(self, scope: UpdateScope, first: Tree, second: Tree) -> Tree:
        """The children."""
        count = len_of(first)
        between = _uniform(scope, "between", count)
        part = graph.select(_crossed(scope, self.rate, count), between, 1.0)
        # y + a·(x - y) would not give x back for a = 1.
        return {
            path: _for_each(part, one) * one + _for_each(1.0 - part, one) * second[path] for path, one in first.items()
        }


@dataclass(frozen=True)
class Mutation(Part):
    """Each weight gets, with probability ``rate``, noise of deviation ``deviation``: w ← w + σ·n.

    A schedule as deviation lets the noise decay, so that the search is wide first and fine later; so it is if nothing
    is said: σ = 0.5 / (1 + 0.01·t) in generation t.

    >>> Mutation(0.05, 0.2).deviation
    0.2

    Reference: D. Montana and L. Davis, "Training feedforward neural networks using genetic algorithms", 1989.
    """

    rate: Number = 0.1
    deviation: Number = InverseTime(0.5, 0.01)

    other_words: ClassVar[dict[str, str]] = dict.fromkeys(("stddev", "std", "sigma", "scale"), "deviation")

    def __post_init__(self) -> None:
        check_share("Mutation", "rate", self.rate)
        check_rate("Mutation", "deviation", self.deviation, 0.0, math.inf)

    def mutate(self, scope: UpdateScope, children: Tree) -> Tree:
        """The children, changed."""
        rate, deviation = scope.number("rate", self.rate), scope.number("deviation", self.deviation)
        changed: Tree = {}
        for path, one in children.items():
            hit = scope.uniform("hit", path, one) < graph.broadcast_to(rate, one.shape)
            changed[path] = graph.select(hit, one + times(deviation, scope.normal("noise", path, one)), one)
        return changed


def _crossed(scope: UpdateScope, rate: Number, count: int) -> Node:
    return _uniform(scope, "crossed", count) < graph.broadcast_to(scope.number("rate", rate), (count,))


def _for_each(number: Node, like: Node) -> Node:
    """A number a member, for each of its weights."""
    return graph.broadcast(number, list(range(1, like.rank)), list(like.shape[1:]))


def check_share(who: str, name: str, value: Number) -> None:
    """Refuse what is no probability."""
    if callable(value):
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
        raise ConfigurationError(f"{who}: {name} is a probability, a number from 0 to 1, not {value!r}")
