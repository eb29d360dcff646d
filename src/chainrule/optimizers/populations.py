"""What learners by populations share: the losses of many parameters at once, and their order."""

from __future__ import annotations

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import is_finite
from chainrule.graph.vectorizing import Batching
from chainrule.optimizers.updates import Tree, UpdateScope


def losses_at(scope: UpdateScope, population: Tree, parameters: Tree) -> Node:
    """The loss of this step for each member of a population, (members,): nodes of the one graph, by `vectorize`.

    ``population`` has for each path (members, …) in the place of the parameter. Batch and random numbers (dropout) are
    the same for all members, so that luck makes none the better one; a loss that is not finite is +∞.
    """
    if scope.loss is None:
        raise ConfigurationError("a population is judged by the loss of a descent, and here is none")
    size = len_of(population)
    known = {parameters[path]: members for path, members in population.items()}
    found = Batching(size, known, known).whole(scope.loss)
    return graph.select(is_finite(found), found, float("inf"))


def check_first(who: str, scope: UpdateScope, directions: Tree) -> None:
    """Refuse updates before one that looks at losses alone: what they make of the gradient would be lost."""
    if any(scope.gradients.get(path, direction) is not direction for path, direction in directions.items()):
        raise ConfigurationError(
            f"{who} asks for no gradient, so what stands before it, or around it as Accumulate does, would be lost; "
            f"it comes first: Compose({who}(…), …)"
        )


def len_of(population: Tree) -> int:
    """How many members it has."""
    return next(iter(population.values())).shape[0]


def _before(losses: Node) -> tuple[Node, Node]:
    """For members i (rows) and j (columns): whether j is better, and whether they are equal."""
    size = losses.shape[0]
    mine, others = graph.broadcast(losses, [1], [size]), graph.broadcast(losses, [0], [size])
    return others < mine, graph.eq(others, mine)


def centred_ranks(losses: Node) -> Node:
    """Places in the order of the losses, from -½ (the best) to ½, equal ones sharing the mean of theirs."""
    better, equal = _before(losses)
    count = losses.shape[0]
    below = graph.sum(graph.cast(better, losses.dtype), 1)
    among = graph.sum(graph.cast(equal, losses.dtype), 1) - 1.0
    return (below + 0.5 * among) * (1.0 / (count - 1)) - 0.5


def order(losses: Node) -> Node:
    """The members from the best to the worst, int32; of equal ones the first comes first."""
    better, equal = _before(losses)
    size = losses.shape[0]
    numbers = graph.iota(size)
    mine, others = graph.broadcast(numbers, [1], [size]), graph.broadcast(numbers, [0], [size])
    ahead = graph.logical_or(better, graph.logical_and(equal, others < mine))
    rank = graph.sum(graph.cast(ahead, "int32"), 1)
    placed = graph.eq(graph.broadcast(rank, [0], [size]), mine)  # rows: places; columns: members
    return graph.sum(graph.select(placed, others, 0), 1)
