"""Accumulating gradients: several batches for one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.optimizers.updates import Number, Optimizer, Tree, Update, UpdateScope, check_update, descends, times


@dataclass(frozen=True)
class Accumulate(Optimizer):
    """Take a step of another optimizer with the mean gradient of k batches, once in k = ``batches`` steps.

    In between nothing moves: not the parameters, not the other optimizer's memory, not the step that its schedules
    see. k batches of one size and weight are one batch k times as large; gradients that an epoch leaves over go on
    into the next. What is to be done to the mean (clipping) stands inside, what is done to each batch before it.

    Differs from: Keras, whose gradient_accumulation_steps is a setting of each optimizer; in PyTorch it is written as
    a loop, which sums unless the loss is divided.

    >>> from chainrule.optimizers import Adam, ClipGlobalNorm, Compose
    >>> Accumulate(4, Compose(ClipGlobalNorm(1.0), Adam())).batches
    4
    """

    batches: Number
    optimizer: Update

    other_words: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("k", "steps", "every", "accumulation_steps", "gradient_accumulation_steps"), "batches"
    )

    def __post_init__(self) -> None:
        batches = self.batches
        if not callable(batches) and (not isinstance(batches, int) or isinstance(batches, bool) or batches < 1):
            raise ConfigurationError(f"Accumulate: batches is a whole number above 0, not {batches!r}")
        check_update("Accumulate", self.optimizer)

    @property
    def descends(self) -> bool:
        """Whether the optimizer does."""
        return descends(self.optimizer)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """Its directions when they are due, else 0; "gathered" is remembered, and for all "batches" and "taken"."""
        batches = scope.remember("batches", "", scope.step) + 1
        taken = scope.remember("taken", "", scope.step)
        count = graph.cast(batches, scope.record.dtype)
        due = scope.number("batches", self.batches) <= count
        scope.store("batches", "", graph.select(due, 0, batches))
        scope.store("taken", "", taken + graph.cast(due, taken.dtype))
        means: Tree = {}
        for path, direction in directions.items():
            total = scope.remember("gathered", path, direction) + direction
            scope.store("gathered", path, graph.select(graph.broadcast_to(due, total.shape), 0, total))
            means[path] = times(1.0 / count, total)
        both = due if scope.due is None else graph.logical_and(scope.due, due)
        moves = self.optimizer.apply(replace(scope.inside(0), step=taken, due=both), means, parameters)
        return {path: graph.select(graph.broadcast_to(due, move.shape), move, 0) for path, move in moves.items()}
