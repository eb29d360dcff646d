"""Optimizers that need a loop on the host: they drive compiled graphs from outside, through the same `fit`.

A line search asks for the loss again and again before it takes a step, a factorisation is LAPACK's work, a population
has no gradient. Such a learner is an optimizer all the same. It says two things: what it remembers from step to step,
which then is part of the run's state, so that it is saved, checked and resumed like everything else; and how one step
is taken, as a `Program`, which stands where the compiled step of other optimizers stands. Loop, history, callbacks,
validation and Ctrl-C know no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from chainrule.errors import ConfigurationError
from chainrule.graph import Graph, Node
from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers.updates import Optimizer, Tree, Update, UpdateScope

if TYPE_CHECKING:
    from chainrule.engines.protocol import Array, Arrays, Engine, Program
    from chainrule.layers.scope import Applied
    from chainrule.losses import Loss

#: What the output of the loss that is descended in is called; the "loss" of a history may be that of the data alone.
VALUE, GRADIENT = "value", "gradient"


@dataclass(frozen=True)
class Descent:
    """One descent of a step: the loss, and its gradient for each parameter (by path), as nodes."""

    name: str
    loss: Node
    parameters: Mapping[str, Node]
    gradients: Mapping[str, Node]
    #: What the loss is of, where the step says so: the outputs of the model, and the loss on them.
    outputs: Node | None = None
    criterion: Loss | None = None
    #: The optimizer, where it takes its steps on the host.
    host: HostOptimizer | None = None


class DrivenStep(Protocol):
    """A built step as a host loop sees it; `training.BuiltStep` is one.

    All nodes have inputs by name: "parameters/…", "data/…", "batch/indices", "state/…", "step", "seed".
    """

    @property
    def graph(self) -> Graph:
        """What the step records, "finite", and the new state of layers; parameters are left as they are."""

    @property
    def descents(self) -> Sequence[Descent]:
        """The one descent, as nodes."""

    @property
    def applied(self) -> Sequence[Applied]:
        """The layers, with their paths."""


@dataclass(frozen=True)
class HostOptimizer(Optimizer):
    """An optimizer that takes its steps on the host: the way to a line search, a factorisation, a population.

    A class of your own is a frozen dataclass that derives from this and says

    - ``declare(scope, parameters)``: what is remembered from step to step (``scope.remember(name, "", like)``, an input
      "optimizer/NAME" from then on) and which of its numbers may be changed while it trains (``scope.number``, an input
      "numbers/NAME");
    - ``drive(step, engine)``: a `Driver`, whose ``run(arrays)`` takes one step. It may compile as many graphs of the
      step's nodes as it likes; `ValueAndGradient` is the one that most will want.

    It stands alone, not in `Compose`, and a step that uses one has one descent.

    >>> from chainrule.engines.choose import choose
    >>> @dataclass(frozen=True)
    ... class Plain(HostOptimizer):
    ...     learning_rate: float = 0.1
    ...     def declare(self, scope, parameters):
    ...         scope.number("learning_rate", self.learning_rate)
    ...     def drive(self, step, engine):
    ...         return PlainDriver(step, engine)
    >>> class PlainDriver(Driver):
    ...     def __init__(self, step, engine):
    ...         super().__init__(step)
    ...         self.at = ValueAndGradient(step, engine)
    ...     def run(self, arrays):
    ...         found = self.at(arrays)
    ...         if not found["finite"]:
    ...             return self.taken(arrays, found, {})
    ...         rate = arrays["numbers/learning_rate"]
    ...         new = {path: arrays[f"parameters/{path}"] - rate * g for path, g in self.at.gradients(found).items()}
    ...         return self.taken(arrays, found, new)
    >>> import chainrule as cr
    >>> train, test = cr.data.load("iris")
    >>> run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, optimizer=Plain(), epochs=30)
    >>> run.evaluate(test)["accuracy"] > 0.9
    True
    """

    def declare(self, scope: UpdateScope, parameters: Tree) -> None:
        """Declare what is remembered, and the numbers. Nothing, unless a class says otherwise."""

    def drive(self, step: DrivenStep, engine: Engine) -> Program:
        """The program that takes the steps."""
        raise ConfigurationError(f"{type(self).__name__} does not say how a step is taken")

    def updates(self) -> tuple[Update, ...]:
        """None: it is no composition, and cannot stand in one."""
        raise ConfigurationError(f"{type(self).__name__} takes its steps on the host; it is not made of updates")


class Driver:
    """A `Program` made of ``run(arrays)``: one step on the host, from all arrays of the step to what becomes of them.

    ``arrays`` has the state, the data, "batch/indices", "seed" and the numbers, by the names of the graph's inputs.
    What ``run`` gives are new values of state, "step" among them, and beside them scalars for the history; of these
    "finite" must be one: a step that is not finite leaves the state as it was, and the loop ends there and names the
    node.
    """

    def __init__(self, step: DrivenStep) -> None:
        self.graph = step.graph

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """One step."""
        raise ConfigurationError(f"{type(self).__name__} does not say how a step is taken")

    def repeat(
        self, state: Arrays, fixed: Arrays, each: Arrays, until: str = ""
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """A step for each slice of ``each``; see `chainrule.engines.protocol.Program`."""
        now = dict(state)
        rows: dict[str, list[Array]] = {}
        for index in range(len(next(iter(each.values())))):
            found = self.run({**fixed, **now, **{name: array[index] for name, array in each.items()}})
            now = {name: found.get(name, array) for name, array in now.items()}
            for name in found.keys() - now.keys():
                rows.setdefault(name, []).append(found[name])
            if until and not found[until]:
                break
        return now, {name: np.stack(row) for name, row in rows.items()}

    def taken(
        self,
        arrays: Arrays,
        found: Mapping[str, Array],
        parameters: Mapping[str, Array],
        memory: Mapping[str, Array] | None = None,
        **recorded: float,
    ) -> dict[str, Array]:
        """What ``run`` gives: the evaluation ``found`` at the old parameters, the new ones by path, and new memory.

        ``memory`` is by the names of inputs ("optimizer/NAME"); ``recorded`` are further numbers for the history.
        """
        kept = {name: value for name, value in found.items() if name != VALUE and not name.startswith(f"{GRADIENT}/")}
        new = {f"{PARAMETERS}/{path}": value for path, value in parameters.items()} | dict(memory or {})
        fitting = {name: np.asarray(value, arrays[name].dtype) for name, value in new.items()}
        number = arrays["step"] + np.int32(found["finite"])
        logs = {name: np.asarray(value) for name, value in recorded.items()}
        return {**kept, **fitting, **logs, "step": np.asarray(number, np.int32)}


class ValueAndGradient:
    """The loss of a driven step and its gradients, compiled: called with arrays, at the parameters among them.

    It gives what the step records, "finite", the new state of layers, "value", the loss that is descended in, and
    "gradient/PATH".
    """

    def __init__(self, step: DrivenStep, engine: Engine) -> None:
        (descent,) = step.descents
        outputs = {name: node for name, node in step.graph.outputs.items() if name != "step"}
        outputs |= {f"{GRADIENT}/{path}": node for path, node in descent.gradients.items()}
        self.paths = tuple(descent.gradients)
        self._program = engine.compile(Graph({**outputs, VALUE: descent.loss}, step.graph.origins, step.graph.regions))
        self._inputs = tuple(self._program.graph.inputs)

    def __call__(self, arrays: Arrays) -> dict[str, Array]:
        """All outputs at these arrays."""
        return self._program.run({name: arrays[name] for name in self._inputs})

    def gradients(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """The gradients of an evaluation, by path."""
        return {path: found[f"{GRADIENT}/{path}"] for path in self.paths}
