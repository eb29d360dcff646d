"""The whole program of a graph as one LLVM module: kernels, the driver that calls them, and the loop over many runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chainrule.engines.native import recalling
from chainrule.engines.native.blocks import Block, Module
from chainrule.engines.native.dividing import feeds_of
from chainrule.engines.native.driver import Driver
from chainrule.engines.native.machine import ATTRIBUTES, Target, host
from chainrule.engines.native.mathematics import definitions
from chainrule.engines.native.repeating import repeating
from chainrule.engines.native.text import Writer, loop_hints
from chainrule.graph import Graph, Node, topological

_HEAD = """
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.readcyclecounter()
"""
_RUN = (
    "ptr noalias %table, ptr noalias %arena, ptr noalias readonly %lengths, ptr noalias %times, "
    "i64 %core, i64 %cores, ptr %sync"
)


@dataclass(frozen=True)
class Written:
    """A graph written as LLVM: the text, and what has to be known to call it.

    The table of pointers has a slot for each input, then for each constant, then for each output.
    """

    graph: Graph
    text: str
    target: Target
    block: Block
    inputs: Mapping[str, Node]
    constants: Sequence[Node]
    resident: Sequence[Node]


def write_module(
    graph: Graph, *, target: Target | None = None, profile: bool = False, cores: int = 1, one_by_one: str = ""
) -> Written:
    """Group, plan and write a graph, for this processor or another, and for so many of its cores.

    With ``profile``, the driver adds up the cycles of each call.
    """
    target = target or host()
    inputs = graph.inputs
    outputs = list(graph.outputs.values())
    nodes = topological(outputs, bodies=True)
    constants = [node for node in nodes if node.op == "constant" and node.shape]
    resident = _resident(inputs.values(), nodes, outputs)
    module = Module(
        {node: f"%constant{number}" for number, node in enumerate(constants)},
        {node: f"%length{number}" for number, node in enumerate(resident)},
        target.vector_bytes,
        profile=profile,
        cores=cores,
        one_by_one=one_by_one,
        recalls=cores > 1 and not one_by_one and recalling.known(target.triple, target.features),
    )
    given = {node: f"%input{number}" for number, node in enumerate(inputs.values())} | module.constants
    block = Block(list(dict.fromkeys(outputs)), given, module, targets=set(outputs), feeds=feeds_of(graph))
    driver = _driver(block, given, outputs)
    module.functions.add("declare i64 @llvm.smin.i64(i64, i64)")
    parts = [_HEAD, *sorted(name for name in module.functions if name.startswith("declare"))]
    parts.append(definitions({name for name in module.functions if not name.startswith("declare")}))
    for (parameters, body), name in module.kernels.items():
        parts.append(f"define internal void @{name}({parameters}) noinline #0 {{\nentry:\n{body}\n}}")
    tried = ""
    if "@recall(" in driver:
        block.size = max(block.size, recalling.TRIED)
        tried = recalling.recalling(block.seconds)
    parts += [driver, repeating(target.triple, tried), f"attributes #0 = {{ {ATTRIBUTES} }}", loop_hints()]
    return Written(graph, "\n\n".join(parts), target, block, inputs, constants, resident)


def _driver(block: Block, given: Mapping[Node, str], outputs: Sequence[Node]) -> str:
    w = Writer()
    for number, register in enumerate(given.values()):
        slot = w.emit(f"getelementptr inbounds ptr, ptr %table, i64 {number}")
        w.write(f"{register} = load ptr, ptr {slot}, align 8")
    for number, register in enumerate(block.module.resident.values()):
        slot = w.emit(f"getelementptr inbounds i64, ptr %lengths, i64 {number}")
        w.write(f"{register} = load i64, ptr {slot}, align 8")
    targets: dict[Node, list[str]] = {}
    for number, node in enumerate(outputs):
        slot = w.emit(f"getelementptr inbounds ptr, ptr %table, i64 {len(given) + number}")
        targets.setdefault(node, []).append(w.emit(f"load ptr, ptr {slot}, align 8"))
    driver = Driver(block, w)
    places = driver.write("%arena", given, {node: found[0] for node, found in targets.items()})
    copies = [(node, target) for node, found in targets.items() for target in found if target != places[node]]
    copies = [(node, target) for node, target in copies if node not in block.replaces]
    if copies and block.shared and not block.module.one_by_one:
        block.module.wait(w)
    for node, target in copies:
        driver.copy(target, places[node], node)
    w.write("ret void")
    return f"define void @run({_RUN}) noinline #0 {{\nentry:\n" + w.text + "\n}"


def _resident(inputs: Iterable[Node], nodes: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """The inputs of which only rows are gathered: how many rows they have is no business of the program."""
    listed = list(inputs)
    kept = {node for node in listed if node.shape} - set(outputs)
    for node in nodes:
        for place, below in enumerate(node.inputs):
            rows = node.op == "gather" and place == 0 and node.attributes["axis"] == 0
            if below in kept and not rows:
                kept.discard(below)
    return [node for node in listed if node in kept]
