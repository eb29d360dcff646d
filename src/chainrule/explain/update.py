"""What one sample alone would do to one parameter: the step's own graph, run once on it in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import Graph
from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers import HostOptimizer
from chainrule.training import BuiltStep, DataSpec, build_step

if TYPE_CHECKING:
    from chainrule.run import Data, Run


@dataclass(frozen=True)
class Update:
    """The parameter before and after a step on this sample; ``rate`` is the learning rate, if it is a number.

    ``plain`` says that the step is w ← w − η·g and nothing else: no memory of earlier gradients takes part.
    """

    before: float
    after: float
    rate: float | None
    plain: bool
    by: str


def update_of(run: Run, data: Data, sample: int, path: str, index: tuple[int, ...], gradient: float) -> Update:
    """The update of one element, by the run's own optimizer in its present state."""
    spec, given = run._data(data)
    built = build_step(run.step, DataSpec(1, spec.arrays, spec.preparing, spec.classes), 1, "float64")
    pool: dict[str, Any] = {**built.numbers, **run.numbers, **run.arrays, "seed": run.seed & 0xFFFFFFFF}
    pool |= {f"data/{name}": array[[sample]] if name in spec.arrays else array for name, array in given.items()}
    pool |= {"batch/indices": np.zeros(1)}
    name = f"{PARAMETERS}/{path}"
    by = repr(run.optimizer) if run.optimizer is not None else f"the step {run.step.name}"
    before = float(np.asarray(run.arrays[name])[index])
    if built.host is not None:
        return Update(before, float(_on_the_host(built, built.host, pool)[name][index]), None, False, by)
    small = Graph({name: built.graph.outputs[name]})
    arrays = {each: np.asarray(pool[each], node.dtype) for each, node in small.inputs.items()}
    after = float(ReferenceEngine().compile(small).run(arrays)[name][index])
    rates = [float(pool[each]) for each in small.inputs if each.rpartition(".")[2].endswith("learning_rate")]
    rate = rates[0] if len(rates) == 1 else None
    plain = rate is not None and abs(before - rate * gradient - after) <= 1e-12 * max(abs(before), abs(after))
    return Update(before, after, rate, plain, by)


def _on_the_host(built: BuiltStep, host: HostOptimizer, pool: dict[str, Any]) -> dict[str, Any]:
    """All arrays, as an optimizer that takes its steps on the host leaves them."""
    inputs = Graph({**built.graph.outputs, "loss": built.descents[0].loss}).inputs
    kinds = {name: node.dtype for name, node in inputs.items()}
    kinds |= {name: declared.dtype for name, declared in built.declared.items()} | {"step": "int32", "seed": "uint32"}
    arrays = {name: np.asarray(value, kinds.get(name)) for name, value in pool.items()}
    return {**arrays, **host.drive(built, ReferenceEngine()).run(arrays)}
