"""The gradient of a recurrent weight as a sum over the steps of its loop: what its use at each step gives.

A weight is one array that a loop reads at each step. Here each step is given an array of its own, all of the same
value: the gradient by the one that step t reads is the t-th term, and the weight's is their sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients, pull_back
from chainrule.graph import FLOATS, Graph, Node, input, map_nodes, param, remake, scan, topological

Array = NDArray[Any]


@dataclass(frozen=True)
class StepTerm:
    """What the use of a parameter at one ``step`` of a loop, counted from 0 in time, gives to its gradient."""

    layer: str
    step: int
    value: float


def terms_over_time(
    graph: Graph, loss: Node, parameter: Node, index: tuple[int, ...], arrays: Mapping[str, Array],
    values: Mapping[Node, Array],
) -> tuple[StepTerm, ...]:  # fmt: skip
    """The terms of the gradient of the loss by one element, for each loop that reads the parameter; none without one.

    What reaches a loop through another loop belongs to the other: its terms are those of its own steps.
    """
    order = topological([loss])
    direct = {parameter}
    for node in order:
        if node.op not in ("scan", "last", "stack") and any(below in direct for below in node.inputs):
            direct.add(node)
    loops = [node for node in order if node.op == "scan" and not direct.isdisjoint(node.inputs)]
    if not loops:
        return ()
    spread = _Spread(loss, {loop: f"{n}" for n, loop in enumerate(loops)}, direct)
    fresh = list(spread.fresh)
    slopes = gradients(spread.loss, fresh)
    given = dict(arrays)
    for node, (loop, number, operand) in spread.fresh.items():
        value = values[operand]
        moves = number < loop.attributes["n_carry"] + loop.attributes["n_xs"]
        given[node.attributes["name"]] = value if moves else np.broadcast_to(value, node.shape)
    whole = Graph({f"{n}": slope for n, slope in enumerate(slopes)})
    found = ReferenceEngine().compile(whole).run({name: given[name] for name in whole.inputs})
    sums = {loop: np.zeros(loop.attributes["length"]) for loop in loops}
    for n, (loop, number, operand) in enumerate(spread.fresh.values()):
        moves = number < loop.attributes["n_carry"] + loop.attributes["n_xs"]
        cotangent = input("cotangent", operand.shape, operand.dtype)
        (slope,) = pull_back({operand: cotangent}, [parameter])
        program = ReferenceEngine().compile(Graph({"slope": slope}))
        for step in range(loop.attributes["length"]):
            at = np.zeros(operand.shape, found[f"{n}"].dtype)
            at[step if moves else ...] = found[f"{n}"][step]
            wanted = {name: {**arrays, "cotangent": at}[name] for name in program.graph.inputs}
            sums[loop][step] += float(program.run(wanted)["slope"][index])
    return tuple(_terms(graph, sums))


def _terms(graph: Graph, sums: Mapping[Node, Array]) -> Iterator[StepTerm]:
    for loop, terms in sums.items():
        origin = graph.origins.get(loop)
        for step, value in enumerate(terms):
            yield StepTerm(origin.path if origin is not None else "", step, float(value))


class _Spread:
    """The loss made again with loops that read, in the place of what a parameter reaches, sequences of their own."""

    def __init__(self, loss: Node, loops: Mapping[Node, str], direct: set[Node]) -> None:
        #: Each new sequence: the loop that reads it, the number of the operand, and the operand itself.
        self.fresh: dict[Node, tuple[Node, int, Node]] = {}
        self._direct = direct
        taken: dict[Node, dict[Node, None]] = {}
        for node in topological([loss]):
            if node.op == "stack":
                taken.setdefault(node.inputs[0], {})[node.attributes["node"]] = None
        made: dict[Node, tuple[list[Node], dict[Node, Node]]] = {}

        def change(node: Node, inputs: tuple[Node, ...]) -> Node:
            if node in loops:
                made[node] = self._again(node, inputs, list(taken.get(node, ())), loops[node])
                return node  # its readers ask what was made of it
            if node.op in ("last", "stack") and node.inputs[0] in made:
                lasts, stacks = made[node.inputs[0]]
                return lasts[node.attributes["index"]] if node.op == "last" else stacks[node.attributes["node"]]
            return remake(node, inputs)

        self.loss = map_nodes([loss], change)[loss]

    def _again(
        self, old: Node, inputs: tuple[Node, ...], taken: Sequence[Node], name: str
    ) -> tuple[list[Node], dict[Node, Node]]:
        n_carry, n_xs, length = (old.attributes[key] for key in ("n_carry", "n_xs", "length"))
        sequences: dict[int, Node] = dict(enumerate(inputs[n_carry : n_carry + n_xs], n_carry))
        for number, operand in enumerate(old.inputs[n_carry:], n_carry):
            if operand in self._direct and operand.dtype in FLOATS:
                shape = operand.shape if number in sequences else (length, *operand.shape)
                sequences[number] = node = input(f"over time/{name}/{number}", shape, operand.dtype)
                self.fresh[node] = (old, number, operand)

        def body(now: list[Node], step: list[Node]) -> tuple[list[Node], list[Node]]:
            of_step = dict(zip(sequences, step, strict=True))
            known: dict[Node, Node] = {}
            for number, operand in enumerate(old.inputs):
                shape = operand.shape[1:] if n_carry <= number < n_carry + n_xs else operand.shape
                place = param(number, shape, operand.dtype)
                known[place] = now[number] if number < n_carry else of_step.get(number, inputs[number])
            mapping = map_nodes([*old.attributes["next"], *taken], known=known)
            return [mapping[node] for node in old.attributes["next"]], [mapping[node] for node in taken]

        lasts, stacks = scan(
            body, inputs[:n_carry], list(sequences.values()), length=length, reverse=old.attributes["reverse"]
        )
        return lasts, dict(zip(taken, stacks, strict=True))
