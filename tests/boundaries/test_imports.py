"""Imports point one way, function-level ones included: read off the source, not off what happens to be loaded."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

#: A room may import rooms of lower rank, and those of its own rank as long as no circle comes of it.
RANKS: dict[str, int] = {
    **dict.fromkeys(("errors", "trees", "keys", "curves"), 0),
    "graph": 1,
    "gradients": 2,
    **dict.fromkeys(("layers", "losses", "metrics", "initializers", "regularizers", "optimizers", "augmentation"), 3),
    "models": 3,
    "training": 4,
    **dict.fromkeys(("explain", "fitting", "formats", "report", "run"), 5),
    # The leaves, and the public names, which gather what lies below.
    **dict.fromkeys(("estimators", "studio", "cli", "extending", "__main__", ""), 6),
}
#: Rooms that stand beside the order, and all that they may import.
BESIDE: dict[str, set[str]] = {"engines": {"graph", "keys", "errors"}, "data": {"errors", "keys"}, "neurons": set()}
#: From which rank on a room may import one that stands beside the order.
BESIDE_FROM = {"engines": 2, "data": 4, "neurons": 5}
#: An engine arrives as an argument: all that others may name of them is what an engine is, and how one is chosen.
OPEN = {"chainrule.engines.protocol", "chainrule.engines.choose"}
#: What explains a run asks the definition of every op, in float64, whatever engine the run was made with.
DEFINITION, DEFINITION_FROM = "chainrule.engines.reference", 5
#: Nothing imports a leaf but a leaf, or the public names.
LEAVES = {"estimators", "studio", "cli", "__main__"}

Edges = Mapping[str, set[str]]


def modules(source: Path = SOURCE) -> dict[str, Path]:
    """Module name -> file, for every module of the package."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(text: str, module: str, known: Iterable[str], is_package: bool = False) -> set[str]:
    """The modules of ours that a source imports anywhere in it; what only the type checker sees is left out."""
    known = set(known)
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                inside = module.split(".") if is_package else module.split(".")[:-1]
                start = inside[: len(inside) - node.level + 1]
                base = ".".join([*start, base] if base else start)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in known else base)
        waiting.extend(ast.iter_child_nodes(node))
    return {name for name in found if name.split(".")[0] == "chainrule"}


@functools.cache
def edges(source: Path = SOURCE) -> dict[str, set[str]]:
    found = modules(source)
    return {
        name: imports(path.read_text("utf-8"), name, found, path.name == "__init__.py") for name, path in found.items()
    }


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def faults(graph: Edges) -> list[str]:
    """Every import that goes the wrong way, in words."""
    found = []
    for module, wanted in sorted(graph.items()):
        here = room(module)
        if here not in RANKS and here not in BESIDE:
            found.append(f"{module} is in a room that the table of ranks does not know")
            continue
        for other in sorted(wanted):
            there = room(other)
            if there == here:
                continue
            if there not in RANKS and there not in BESIDE:
                found.append(f"{module} imports {other}, in a room that the table of ranks does not know")
            elif here in BESIDE:
                if there not in BESIDE[here]:
                    found.append(f"{module} imports {other}; {here} may import {sorted(BESIDE[here]) or 'nothing'}")
            elif there in BESIDE:
                if RANKS[here] < BESIDE_FROM[there]:
                    found.append(f"{module} imports {other}, which is not for a room so low")
                asks = other == DEFINITION and RANKS[here] >= DEFINITION_FROM
                if there == "engines" and other not in OPEN and not asks:
                    found.append(f"{module} imports {other}; an engine is chosen by engines.choose")
            elif RANKS[there] > RANKS[here]:
                found.append(f"{module} imports {other}, which is above it")
            elif there in LEAVES and here not in ("", "__main__", *({"cli"} if there != "cli" else ())):
                found.append(f"{module} imports {other}, which is a leaf")
    return found


def circles(graph: Edges) -> list[list[str]]:
    """Groups of modules that import each other in a circle (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph.get(module, set()):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1 or module in graph.get(module, set()):
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


@pytest.mark.tiny
def test_imports_point_one_way() -> None:
    assert faults(edges()) == []


@pytest.mark.tiny
def test_no_module_imports_itself_in_a_circle() -> None:
    assert circles(edges()) == []


def test_every_import_of_ours_is_of_a_module_that_exists() -> None:
    found = modules()
    assert {other for wanted in edges().values() for other in wanted} <= set(found)


def test_what_is_heavy_is_imported_where_it_is_used() -> None:
    heavy = {
        "matplotlib",
        "sklearn",
        "pandas",
        "torch",
        "jax",
        "llvmlite",
        "safetensors",
        "rich",
        "tensorboardX",
        "typer",
        "urllib",
        "csv",
    }
    for name, path in modules().items():
        if room(name) in ("cli", "studio", "estimators", "__main__"):
            continue
        tops = {
            (part.name if isinstance(node, ast.Import) else node.module or "").split(".")[0]
            for node in ast.parse(path.read_text("utf-8")).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for part in node.names
        }
        native = name.startswith("chainrule.engines.native")  # which nobody imports before it is asked for
        allowed = {"csv", "urllib"} if room(name) == "data" else {"llvmlite"} if native else set()
        assert not tops & heavy - allowed, f"{name}: {tops & heavy}"


WRONG: list[tuple[str, str, str]] = [
    ("chainrule.graph.node", "chainrule.gradients", "above it"),
    ("chainrule.layers.dense", "chainrule.training.loop", "above it"),
    ("chainrule.training.loop", "chainrule.cli", "above it"),
    ("chainrule.training.loop", "chainrule.engines.reference", "chosen by"),
    ("chainrule.explain.check", "chainrule.engines.reference.values", "chosen by"),
    ("chainrule.gradients.rules", "chainrule.engines.reference.values", "chosen by"),
    ("chainrule.graph.rewriting", "chainrule.engines.protocol", "not for a room so low"),
    ("chainrule.engines.reference.engine", "chainrule.gradients.rules", "may import"),
    ("chainrule.engines.choose", "chainrule.training", "may import"),
    ("chainrule.data.sources", "chainrule.graph", "may import"),
    ("chainrule.neurons", "chainrule.errors", "may import nothing"),
    ("chainrule.studio.server", "chainrule.cli", "a leaf"),
    ("chainrule.kitchen", "chainrule.errors", "does not know"),
    ("chainrule.layers.dense", "chainrule.kitchen", "does not know"),
    ("chainrule.layers.dense", "chainrule.data", "not for a room so low"),
]


@pytest.mark.parametrize(("module", "other", "why"), WRONG)
def test_a_wrong_import_is_found(module: str, other: str, why: str) -> None:
    (fault,) = faults({module: {other}})
    assert why in fault


def test_a_circle_is_found() -> None:
    graph = {"chainrule.a": {"chainrule.b"}, "chainrule.b": {"chainrule.c"}, "chainrule.c": {"chainrule.b"}}
    assert circles(graph) == [["chainrule.b", "chainrule.c"]]
    assert circles({"chainrule.a": {"chainrule.a"}}) == [["chainrule.a"]]


def test_an_import_within_a_function_is_seen_and_one_for_the_type_checker_is_not() -> None:
    text = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from chainrule.graph import node\n"
        "def f():\n    from chainrule.training import loop\n    import chainrule.cli.main\n    from . import other\n"
    )
    known = {"chainrule.training.loop", "chainrule.layers.other", "chainrule.graph.node"}
    assert imports(text, "chainrule.layers.dense", known) == {
        "chainrule.training.loop", "chainrule.cli.main", "chainrule.layers.other",
    }  # fmt: skip
