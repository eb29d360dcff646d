from __future__ import annotations

import itertools
import random
from collections.abc import Collection

import pytest

from chainrule import graph
from chainrule.gradients.keeping import cheapest_to_keep
from chainrule.graph import Node, topological


def _suffices(kept: Collection[Node], wanted: list[Node], dear: set[Node]) -> bool:
    """Whether all that is wanted can be made from what is kept without making a dear node again."""
    return not any(node in dear for node in topological(wanted, stop=set(kept)))


def _random_graph(seed: int) -> tuple[list[Node], set[Node], dict[Node, int], list[Node]]:
    chance = random.Random(seed)
    nodes = [graph.input(f"x{n}") for n in range(2)]
    dear = set(nodes)
    while len(nodes) < 9:
        op = chance.choice((graph.exp, graph.sin, None))
        node = chance.choice(nodes) + chance.choice(nodes) if op is None else op(chance.choice(nodes))
        if node not in nodes:
            nodes.append(node)
            if chance.random() < 0.3:
                dear.add(node)
    return nodes, dear, {node: chance.randrange(6) for node in nodes}, chance.sample(nodes, 3)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_lighter_would_do(seed: int) -> None:
    nodes, dear, weights, wanted = _random_graph(seed)
    kept = cheapest_to_keep(wanted, available=lambda node: False, dear=dear.__contains__, weight=weights.__getitem__)
    assert _suffices(kept, wanted, dear)
    lightest = min(
        sum(weights[node] for node in some)
        for count in range(len(nodes) + 1)
        for some in itertools.combinations(nodes, count)
        if _suffices(some, wanted, dear)
    )
    assert sum(weights[node] for node in kept) == lightest


@pytest.mark.tiny
def test_among_equals_the_nearest_is_kept_and_what_is_available_is_not() -> None:
    x = graph.input("x", (4,))
    far = graph.sin(x)
    near = graph.exp(far)

    def keep(*wanted: Node, available: Collection[Node] = ()) -> list[Node]:
        return cheapest_to_keep(
            wanted, available=available.__contains__, dear=lambda node: node is far, weight=lambda node: 1
        )

    assert keep(near) == [near]
    assert keep(near, -near, far) == [far]
    assert keep(near, available=[near]) == []
