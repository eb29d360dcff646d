"""The fuzzer: random graphs, with their gradients, on two engines; what differs is shrunk and printed as a program.

Half of the graphs are run many times in one call, and hand new values back to their own inputs: by descent, or by
changing places, so that a value which is overwritten before all have read it is noticed.

python -m tests.engines.native.fuzzing --graphs 10000 --seed 0
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.native import NativeEngine
from chainrule.engines.protocol import Engine
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node, input, lt, map_nodes, reshape, reverse, show, sin, topological, transpose
from tests.properties.random_graphs import SIZES, Recipe, arrays, inputs, loss_of, pool_of

Array = NDArray[Any]
#: Graphs that are compiled together: one module costs less than many.
TOGETHER = 25
#: Shapes of the first input: small ones, and such that loops have whole vectors and a rest.
SHAPES = (SIZES, (1, 4), (5, 19), (3, 33))
#: How often a graph that hands values back is run in one call.
RUNS = 4
#: These come with each run.
_EACH = ("index", "mask")


class Trial(NamedTuple):
    """What to compare: a recipe, the shape of its first input, and what each of x, y, z, w becomes after a run.

    ``updates`` is empty for a graph that is run once. 0 leaves an input alone.
    """

    recipe: Recipe
    sizes: tuple[int, int] = SIZES
    updates: tuple[int, ...] = ()
    #: After how many runs the graph says that it is enough.
    runs: int = 2


class Failure(NamedTuple):
    """A trial on which the engines differ, shrunk, and what one of them may have raised."""

    trial: Trial
    error: str = ""


def draw(chance: random.Random, *, repeated: bool = False) -> Trial:
    """A recipe of 4 to 16 entries, and its surroundings."""
    recipe = [
        (chance.randrange(100), chance.randrange(100), chance.randrange(100), chance.randrange(100))
        for _ in range(chance.randint(4, 16))
    ]
    updates = tuple(chance.randrange(len(UPDATES)) for _ in inputs()) if repeated else ()
    return Trial(recipe, chance.choice(SHAPES), updates, chance.randint(1, RUNS))


def trials(count: int, seed: int) -> Iterator[list[Trial]]:
    """The trials of a seed, in groups that are compiled together; every second group is repeated."""
    for number, start in enumerate(range(0, count, TOGETHER)):
        chance = random.Random(f"{seed}/{number}")
        yield [draw(chance, repeated=number % 2 == 1) for _ in range(min(TOGETHER, count - start))]


def _descended(x: Node, slope: Node, others: Mapping[str, Node]) -> Node:
    return sin(x - 0.1 * sin(slope))


def _exchanged(x: Node, slope: Node, others: Mapping[str, Node]) -> Node:
    """x and w change places; y and z turn round."""
    name = x.attributes["name"]
    return transpose(others[{"x": "w", "w": "x"}[name]]) if name in "xw" else reverse(x, 0) if name == "y" else -x


def _refilled(x: Node, slope: Node, others: Mapping[str, Node]) -> Node:
    """The elements of x in w's order and the other way round: nothing is computed, and everything moves."""
    name = x.attributes["name"]
    return reshape(others[{"x": "w", "w": "x"}[name]], x.shape) if name in "xw" else x


#: What becomes of an input; `None` leaves it alone, and the last hands it on under its own name.
UPDATES: tuple[Callable[[Node, Node, Mapping[str, Node]], Node] | None, ...] = (
    None,
    _descended,
    _exchanged,
    _refilled,
    lambda x, slope, others: _descended(_exchanged(x, slope, others), slope, others),
    lambda x, slope, others: x,
)


def outputs(trial: Trial) -> dict[str, Node]:
    """The loss of a trial, its gradients, some of what lies between, and the new values of the inputs."""
    pool, starts = pool_of(trial.recipe, trial.sizes), inputs(trial.sizes)
    loss = loss_of(pool)
    slopes = gradients(loss, starts)
    made = {"loss": loss, **{f"d{n}": slope for n, slope in enumerate(slopes)}}
    # Inputs too may be outputs, and one node may be two.
    made |= {f"node{n}": pool[entry[3] % len(pool)] for n, entry in enumerate(trial.recipe) if entry[1] % 7 == 0}
    named = {x.attributes["name"]: x for x in starts}
    for (name, x), slope, kind in zip(named.items(), slopes, trial.updates or (0,) * len(starts), strict=True):
        update = UPDATES[kind]
        if update is not None:
            made[name] = update(x, slope, named)
    return made


def _together(group: Sequence[Trial]) -> tuple[Graph, dict[str, Array]]:
    """One graph of all, in which nothing meets but what is the same for all; and its arrays."""
    named: dict[str, Node] = {"go": lt(input("run", (), "int32"), group[0].runs - 1)}
    given: dict[str, Array] = {}
    for number, trial in enumerate(group):
        made = outputs(trial)
        drawn = arrays(number, trial.sizes)
        old = {x.attributes["name"]: x for x in topological(made.values(), bodies=True) if x.op == "input"}
        known = {x: x if name in _EACH else input(f"{number}/{name}", x.shape, x.dtype) for name, x in old.items()}
        mapping = map_nodes(made.values(), known=known)
        named |= {f"{number}/{name}": mapping[node] for name, node in made.items()}
        given |= {name if name in _EACH else f"{number}/{name}": array for name, array in drawn.items()}
    return Graph(named), given


def results(engine: Engine, group: Sequence[Trial]) -> dict[str, Array]:
    """Every output of some trials, after one run or over many."""
    graph, given = _together(group)
    program, wanted = engine.compile(graph), graph.inputs
    if not any(trial.updates for trial in group):
        given["run"] = np.array(0, "int32")
        return program.run({name: given[name] for name in wanted})
    each = {"run": np.arange(RUNS, dtype="int32")}
    for name in _EACH:
        array = given.pop(name)
        if name in wanted:
            each[name] = np.stack([np.roll(array, n) for n in range(RUNS)])
    # What no run changes is handed over in two ways: as a state that stays, and as what is the same each time.
    state = {name: array for name, array in given.items() if name in graph.outputs or name.endswith("/z")}
    fixed = {name: array for name, array in given.items() if name in wanted and name not in state}
    before = {name: array.copy() for name, array in given.items()}
    last, rows = program.repeat(state, fixed, each, until="go")
    assert all((given[name] == array).all() for name, array in before.items()), "what was given has been changed"
    return {**rows, **last}


def differ(group: Sequence[Trial], engine: Engine) -> list[int]:
    """The numbers of the trials for which an engine and the reference disagree."""
    expected, found = results(ReferenceEngine(), group), results(engine, group)
    bad = {name.split("/")[0] for name in expected if not alike(found[name], expected[name])}
    assert "go" not in bad
    return sorted(map(int, bad))


def alike(found: Array, expected: Array) -> bool:
    """Equal up to what another order of summation may change."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    scale = float(np.max(np.abs(expected), initial=0.0))
    return bool(np.allclose(found, expected, rtol=1e-8, atol=1e-10 * max(scale, 1.0), equal_nan=True))


def shrink(trial: Trial, fails: Callable[[Trial], bool]) -> Trial:
    """A trial that still fails, from which no entry can be taken, and in which no number can be 0 instead."""

    def better(**changes: Any) -> bool:
        nonlocal trial
        less = trial._replace(**changes)
        if less == trial or not less.recipe or not fails(less):
            return False
        trial = less
        return True

    better(sizes=SIZES)
    _ = better(updates=()) or better(runs=1) or better(runs=2)
    for place in range(len(trial.updates)):
        better(updates=(*trial.updates[:place], 0, *trial.updates[place + 1 :]))
    size = len(trial.recipe) // 2
    while size:
        start = 0
        while start < len(trial.recipe):
            if not better(recipe=trial.recipe[:start] + trial.recipe[start + size :]):
                start += size
        size //= 2
    for start, entry in enumerate(trial.recipe):
        for place in (1, 2, 3):
            simple = (*trial.recipe[start][:place], 0, *entry[place + 1 :])
            better(recipe=[*trial.recipe[:start], simple, *trial.recipe[start + 1 :]])
    return trial


def _failing(trial: Trial, engine: Engine) -> str:
    """In what way a trial fails alone: differing values, an error's text, or not at all."""
    try:
        return "differs" if differ([trial], engine) else ""
    except Exception as error:  # whatever an engine dies of is a finding
        return f"{type(error).__name__}: {error}"


def examine(group: Sequence[Trial], engine: Engine) -> list[Failure]:
    """Those of some trials on which the engines differ, shrunk."""
    try:
        bad = [group[number] for number in differ(group, engine)]
    except Exception:
        bad = [trial for trial in group if _failing(trial, engine)]
    found = [shrink(trial, lambda less: bool(_failing(less, engine))) for trial in bad]
    return [Failure(trial, _failing(trial, engine)) for trial in found]


def fuzz(count: int, seed: int, engine: Engine) -> list[Failure]:
    """Shrunk trials on which the engines differ, out of ``count`` random ones."""
    return [failure for group in trials(count, seed) for failure in examine(group, engine)]


def _loops(trial: Trial) -> bool:
    return any(node.op == "scan" for node in topological([loss_of(pool_of(trial.recipe, trial.sizes))], bodies=True))


def _examined(group: Sequence[Trial]) -> tuple[Counter[str], list[Failure]]:
    """What a process of its own does: the failures of a group, and what there was in it."""
    seen = {"graphs": len(group), "scans": sum(map(_loops, group)), "repeats": sum(bool(t.updates) for t in group)}
    return Counter(seen), examine(group, NativeEngine())


def program(failure: Failure | Trial) -> str:
    """A failure as something to paste: the trial, and the graph that it makes."""
    trial, error = failure if isinstance(failure, Failure) else (failure, "")
    return f"{error}\ntrial = {trial!r}\n{show(Graph(outputs(trial)))}".lstrip()


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--graphs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    settings = parser.parse_args()
    # What is compiled here is never wanted again.
    os.environ.setdefault("CHAINRULE_CACHE", "off")
    start, total, failures = time.perf_counter(), Counter[str](), 0
    # Another process than this one, so that it is this one that speaks if native code brings it down.
    with ProcessPoolExecutor(settings.processes, multiprocessing.get_context("spawn")) as workers:
        for seen, found in workers.map(_examined, trials(settings.graphs, settings.seed)):
            total, failures = total + seen, failures + len(found)
            for failure in found:
                print(program(failure), flush=True)
            if total["graphs"] % 500 == 0:
                print(f"{total['graphs']:,} graphs, {time.perf_counter() - start:.0f} s", flush=True)
    print(
        f"{total['graphs']:,} graphs with their gradients, {total['scans']:,} of them with scans, {total['repeats']:,} "
        f"run {RUNS} times with updates in place: {failures or 'no'} differences, {time.perf_counter() - start:.0f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
