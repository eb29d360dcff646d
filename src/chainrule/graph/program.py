"""A graph with named outputs, the walk through it, and the one helper by which every pass maps it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from chainrule.errors import GraphError
from chainrule.graph.node import Node, make
from chainrule.graph.origins import Build, Origin, Region, active_build

Change = Callable[[Node, tuple[Node, ...]], Node]


def body_nodes(node: Node) -> tuple[Node, ...]:
    """The nodes that a node holds in its attributes: the body of a scan, and what a stack takes from it."""
    if node.op == "scan":
        return tuple(node.attributes["next"])
    return (node.attributes["node"],) if node.op == "stack" else ()


def topological(outputs: Iterable[Node], *, bodies: bool = False, stop: Collection[Node] = ()) -> list[Node]:
    """Every node that the outputs need, each after its inputs; ``stop`` nodes are left out, with what lies behind.

    The bodies of scans are closed graphs of their own, and are entered only if ``bodies`` is set.
    """
    order: list[Node] = []
    seen: set[Node] = set(stop)
    for output in outputs:
        stack = [(output, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                behind = node.inputs + (body_nodes(node) if bodies else ())
                stack.extend((below, False) for below in reversed(behind) if below not in seen)
    return order


def remake(node: Node, inputs: tuple[Node, ...], bodies: Mapping[Node, Node] | None = None) -> Node:
    """The same op on other inputs (and, with ``bodies``, on a mapped body)."""
    attributes = dict(node.attributes)
    if bodies is not None and node.op == "scan":
        attributes["next"] = tuple(bodies[below] for below in attributes["next"])
    elif bodies is not None and node.op == "stack":
        attributes["node"] = bodies[attributes["node"]]
    elif inputs == node.inputs:
        return node
    return make(node.op, inputs, **attributes)


def map_nodes(
    outputs: Iterable[Node],
    change: Change | None = None,
    *,
    known: Mapping[Node, Node] | None = None,
    origins: Mapping[Node, Origin] | None = None,
    regions: Mapping[Node, Region] | None = None,
    bodies: bool = False,
) -> dict[Node, Node]:
    """Old node -> new node for all that the outputs need, made by ``change(node, new inputs)``, inputs first.

    ``known`` gives some answers in advance. What is made inherits its origin and its region from the node it is made
    for: from ``origins`` and ``regions``, or else from the build that is open. With ``bodies``, the bodies of scans are
    mapped by the same change, which then meets each scan with its new body in place.
    """
    mapping = dict(known or {})
    build = active_build()
    if build is None:
        origins, regions = {}, {}
    else:
        origins = build.origins if origins is None else origins
        regions = build.regions if regions is None else regions
    for node in topological(outputs, bodies=bodies, stop=mapping):
        inputs = tuple(mapping[below] for below in node.inputs)
        with build.inheriting(origins.get(node)) if build is not None else contextlib.nullcontext():
            base = remake(node, inputs, mapping) if bodies and body_nodes(node) else node
            made = mapping[node] = change(base, inputs) if change else remake(base, inputs)
            if build is not None:
                build.note(made)  # a node that stays what it was has not been met by make
        region = regions.get(node)
        if build is not None and region is not None:
            taken = tuple(mapping.get(below, below) for below in region.inputs)
            if made not in taken:  # a composite that has come to nothing is none
                build.regions[made] = replace(region, inputs=taken)
    return mapping


@dataclass(frozen=True)
class Graph:
    """Named outputs, what they came from, and which regions of them are composites with a name.

    >>> from chainrule import graph
    >>> x = graph.input("x", (2,))
    >>> list(Graph({"y": graph.exp(x)}).inputs)
    ['x']
    """

    outputs: Mapping[str, Node]
    origins: Mapping[Node, Origin] = field(default_factory=dict, repr=False)
    regions: Mapping[Node, Region] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(outputs: Mapping[str, Node], build: Build) -> Graph:
        """The graph of these outputs, with the part of a build's record that concerns it."""
        kept = set(topological(outputs.values(), bodies=True))
        origins = {node: origin for node, origin in build.origins.items() if node in kept}
        regions = {node: region for node, region in build.regions.items() if node in kept}
        return Graph(dict(outputs), origins, regions)

    @property
    def nodes(self) -> list[Node]:
        """Every node, inputs first; scan bodies apart."""
        return topological(self.outputs.values())

    @property
    def inputs(self) -> dict[str, Node]:
        """The inputs by name, in the order in which they are met."""
        return dict(self._inputs)

    @functools.cached_property
    def _inputs(self) -> dict[str, Node]:
        # They are asked for at each call of a program, and a walk through a large graph takes milliseconds.
        found: dict[str, Node] = {}
        for node in self.nodes:
            if node.op == "input":
                name = node.attributes["name"]
                if found.setdefault(name, node) is not node:
                    raise GraphError(f"two inputs are called {name!r}: {found[name]!r} and {node!r}")
        return found

    def map(self, change: Change, *, bodies: bool = True) -> Graph:
        """The graph with every node remade by ``change(node, new inputs)``; origins and regions come along."""
        with Build() as build:
            mapping = map_nodes(
                self.outputs.values(), change, origins=self.origins, regions=self.regions, bodies=bodies
            )
        return Graph.of({name: mapping[node] for name, node in self.outputs.items()}, build)
