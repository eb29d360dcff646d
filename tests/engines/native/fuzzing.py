"""The fuzzer: random graphs, with their gradients, on two engines; what differs is shrunk and printed as a program.

python -m tests.engines.native.fuzzing --graphs 10000 --seed 0
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.native import NativeEngine
from chainrule.engines.protocol import Engine
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node, show
from tests.properties.random_graphs import Recipe, arrays, build, inputs

Array = NDArray[Any]
#: Graphs that are compiled together: one module costs less than many.
TOGETHER = 25


def draw(chance: random.Random) -> Recipe:
    """A recipe of 5 to 30 entries."""
    return [
        (chance.randrange(100), chance.randrange(100), chance.randrange(100), chance.randrange(100))
        for _ in range(chance.randint(5, 30))
    ]


def outputs(recipe: Recipe) -> dict[str, Node]:
    """The loss of a recipe, and its gradients."""
    loss = build(recipe)
    return {"loss": loss, **{f"d{n}": slope for n, slope in enumerate(gradients(loss, inputs()))}}


def differ(recipes: Sequence[Recipe], engine: Engine) -> list[int]:
    """The numbers of the recipes for which an engine and the reference disagree."""
    named = {f"{n}/{name}": node for n, recipe in enumerate(recipes) for name, node in outputs(recipe).items()}
    graph = Graph(named)
    given = {name: array for name, array in arrays().items() if name in graph.inputs}
    expected = ReferenceEngine().compile(graph).run(given)
    found = engine.compile(graph).run(given)
    bad = {int(name.split("/")[0]) for name in named if not alike(found[name], expected[name])}
    return sorted(bad)


def alike(found: Array, expected: Array) -> bool:
    """Equal up to what another order of summation may change."""
    scale = float(np.max(np.abs(expected), initial=0.0))
    return bool(np.allclose(found, expected, rtol=1e-8, atol=1e-10 * max(scale, 1.0), equal_nan=True))


def shrink(recipe: Recipe, fails: Callable[[Recipe], bool]) -> Recipe:
    """A recipe that still fails, from which no entry can be taken."""
    size = len(recipe) // 2
    while size:
        start = 0
        while start < len(recipe):
            less = recipe[:start] + recipe[start + size :]
            if less and fails(less):
                recipe = less
            else:
                start += size
        size //= 2
    return recipe


def fuzz(count: int, seed: int, engine: Engine, progress: Callable[[int], None] = lambda done: None) -> list[Recipe]:
    """Shrunk recipes on which the engines differ, out of ``count`` random ones."""
    chance = random.Random(seed)
    failures: list[Recipe] = []
    done = 0
    while done < count:
        recipes = [draw(chance) for _ in range(min(TOGETHER, count - done))]
        for number in differ(recipes, engine):
            failures.append(shrink(recipes[number], lambda less: bool(differ([less], engine))))
        done += len(recipes)
        progress(done)
    return failures


def program(recipe: Recipe) -> str:
    """A failure as something to paste: the recipe, and the graph that it makes."""
    return f"recipe = {recipe!r}\n{show(Graph(outputs(recipe)))}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--graphs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    start = time.perf_counter()

    def progress(done: int) -> None:
        if done % 500 == 0 or done == settings.graphs:
            print(f"{done:,} graphs, {time.perf_counter() - start:.0f} s", flush=True)

    failures = fuzz(settings.graphs, settings.seed, NativeEngine(), progress)
    for recipe in failures:
        print(program(recipe))
    print(f"{settings.graphs:,} graphs with their gradients, {len(failures)} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
