"""Measuring: numbers a sample of a whole set, by graphs in prediction mode, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.data import Dataset, Preparation, Stream
from chainrule.engines.protocol import Array, Engine
from chainrule.errors import ConfigurationError, DataError
from chainrule.layers.scope import PARAMETERS, STATE, AnyLayer
from chainrule.losses import Loss
from chainrule.metrics import ConfusionMatrix, confusion_matrix
from chainrule.metrics.naming import as_metrics
from chainrule.training.batch import DataSpec
from chainrule.training.building import build_measure
from chainrule.training.evaluating import Metrics, means, measured, refuse_other_metrics, said_of, with_outputs
from chainrule.training.feeding import Data, feed, refuse_other_data, refuse_other_inputs, refuse_stream
from chainrule.training.loop import Training
from chainrule.training.step import Step

#: Samples that go through the network at once, at most.
CHUNK = 1024
#: No more numbers than this go in at once: what the layers give of large images takes many times as much.
_NUMBERS = 1 << 22


def rows_at_once(shapes: Iterable[tuple[int, ...]]) -> int:
    """How many samples, of arrays of these shapes, go through the network at once, so that memory is bounded.

    >>> rows_at_once([(28, 28), ()]), rows_at_once([(224, 224, 3), ()])
    (1024, 27)
    """
    return max(1, min(CHUNK, _NUMBERS // max(1, sum(map(math.prod, shapes)))))


class Measurable(Training):
    """A training that knows how its data are prepared, and can be measured on others like them."""

    model: AnyLayer | None = None
    loss: Loss | None = None
    classes: tuple[str, ...] | None = None

    def __init__(
        self, step: Step, engine: Engine, *, batch_size: int, dtype: str, seed: int, preparation: Preparation | None
    ) -> None:
        super().__init__(step, engine, batch_size=batch_size, dtype=dtype, seed=seed)
        self.preparation = preparation or Preparation()
        self._measures: dict[Any, Any] = {}

    def evaluate(self, data: Data, metrics: Metrics = ()) -> dict[str, float]:
        """Numbers of a whole set: the mean loss, and the accuracy of classes, by sample weights; and metrics.

        ``metrics`` are of `chainrule.metrics`, or names of them ("f1", "roc_auc", "top_5"), or functions of one's own
        of (targets, probabilities, weights); each comes under its name, one of many classes as "recall[setosa]". They
        are given the whole set at once: targets and predictions in their own units where the targets are numbers. The
        set goes through the network once, in blocks, of which outputs and targets are kept; nothing else.

        A step of one's own measures what its ``@step.evaluation`` gives; for metrics, that gives "probabilities" (or
        "outputs") of (batch, …) too.

        >>> import chainrule as cr
        >>> train, test = cr.data.load("iris")
        >>> run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, epochs=30)
        >>> list(run.evaluate(test, metrics=["f1", cr.metrics.TopK(2)]))
        ['loss', 'accuracy', 'f1', 'top_2']
        """
        chosen = as_metrics(metrics)
        refuse_other_metrics(chosen, data, self.model is not None)
        rows, given = self._rows(data, tuple({metric.on for metric in chosen}))
        found = means(rows, given.get("weights"))
        restored = self.preparation.target.backward
        return found | measured(chosen, rows, given, restored, self.classes)

    def confusion(self, data: Data) -> ConfusionMatrix:
        """How often each true class was taken for which, by the weights of the samples if they have any; it prints.

        Raises `DataError` for targets that are no classes.
        """
        if self.classes is None:
            raise DataError("a confusion matrix is of classes, and the targets of this run are numbers")
        rows, given = self._rows(data, ("probabilities",))
        outputs = said_of(rows, "probabilities", "a confusion matrix")
        if outputs.ndim == 2 and outputs.shape[1] > max(len(self.classes), 1) > 1:
            outputs = outputs[:, : len(self.classes)]  # a unit more than there are classes stands for none of them
        return confusion_matrix(given["targets"], outputs, given.get("weights"), self.classes)

    def _rows(self, data: Data, wanted: tuple[str, ...]) -> tuple[dict[str, Array], dict[str, Array]]:
        """What the step measures of each sample, what is ``wanted`` of the outputs, and targets and weights."""
        if self.step.measure is None:
            raise ConfigurationError(
                f"the step {self.step.name} does not say how it is measured; "
                f"give it a function with @{self.step.name}.evaluation"
            )
        whole = data.head if isinstance(data, Stream) else data
        if isinstance(whole, Dataset) and whole.targets is None:
            raise DataError("to evaluate, the data needs targets")
        self._refuse_other(data)
        function, key = self.step.measure, None
        if wanted and self.model is not None and self.loss is not None:
            function = with_outputs(self.step.measure, self.model, self.loss, wanted)
            key = ("with outputs", id(self.step.measure), *wanted)
        kept = ["weights"] * isinstance(whole, Dataset) + ["targets"] * bool(wanted)
        parts, counted = [], []
        for given, part in self._measured(function, data, key):
            parts.append(part)
            # A stream uses its arrays again for the next block.
            counted.append({name: given[name].copy() for name in kept if name in given})
        joined = [{name: np.concatenate([row[name] for row in some]) for name in some[0]} for some in (parts, counted)]
        return joined[0], joined[1]

    def _measure(self, function: Callable[..., Any], data: Data, key: Any = None) -> dict[str, Array]:
        """Numbers a sample, over all of the data."""
        parts = [part for _, part in self._measured(function, data, key)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _measured(
        self, function: Callable[..., Any], data: Data, key: Any = None
    ) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
        """The rows of each block, and their numbers a sample: in blocks, so that memory is bounded."""
        spec, arrays = feed(data, self.preparation, self.classes)
        preparing = {f"data/{name}": array for name, array in arrays.items() if name not in spec.arrays}
        most = rows_at_once(shape for shape, _ in spec.arrays.values())
        for rows in data.blocks(most) if isinstance(data, Stream) else _blocks(spec, arrays, most):
            size = len(next(iter(rows.values())))
            place = (key or id(function), size, repr(sorted(spec.arrays.items())))
            if place not in self._measures or (self._measures[place][0] is not function and key is None):
                built = build_measure(function, spec, size, self.dtype, self.known_layers())
                self._measures[place] = (function, self.engine.compile(built.graph))
            program = self._measures[place][1]
            given = {**self.arrays, **preparing, **{f"batch/{name}": row for name, row in rows.items()}}
            missing = [
                name for name in program.graph.inputs if name not in given and name.startswith((PARAMETERS, STATE))
            ]
            if missing:
                raise ConfigurationError(
                    f"this run has learned nothing for {', '.join(missing)}: the model is not part of it"
                )
            yield rows, program.run({name: given[name] for name in program.graph.inputs})

    def _known_spec(self) -> DataSpec:
        if self.spec is None:
            raise ConfigurationError("the run has seen no data yet, so its sizes are not known; call fit first")
        return self.spec

    def _refuse_other(self, data: Data) -> None:
        """Raise for data of which the run could only say something meaningless."""
        refuse_other_data(self.spec, feed(data, self.preparation, self.classes)[0], data)
        whole = data.head if isinstance(data, Stream) else data
        if isinstance(whole, Dataset):
            refuse_other_inputs(self.model, whole.inputs, self.preparation)

    def _data(self, data: Data) -> tuple[DataSpec, dict[str, Array]]:
        """What the graph has to know of the data, and the arrays it is fed with, of which samples can be taken."""
        refuse_stream(data)
        return feed(data, self.preparation, self.classes)


def _blocks(spec: DataSpec, arrays: Mapping[str, Array], most: int) -> Iterator[dict[str, Array]]:
    for start in range(0, spec.samples, most):
        yield {name: array[start : start + most] for name, array in arrays.items() if name in spec.arrays}
