"""A run: a model with its data preparation, parameters and history; evaluate, predict, explain, check, save."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from chainrule.augmentation import Augmentation
from chainrule.data import Dataset, Preparation, Stream
from chainrule.data.batches import epoch_order
from chainrule.data.describing import contents
from chainrule.data.staging import Ring
from chainrule.engines.protocol import Array, Engine
from chainrule.errors import ConfigurationError, NotFiniteError, RunFileError, ShapeError, StreamError
from chainrule.layers.scope import PARAMETERS, AnyLayer, Applied
from chainrule.losses import Loss
from chainrule.metrics.naming import as_metrics
from chainrule.optimizers import Optimizer
from chainrule.optimizers.averaging import averaged
from chainrule.regularizers import Regularizer
from chainrule.training import Callback, DataSpec, Step, StopAfter
from chainrule.training.evaluating import Metrics, refuse_other_metrics
from chainrule.training.feeding import Data, feed, refuse_other_kinds
from chainrule.training.feeds import Bucketed, Feed, Resident, Staged
from chainrule.training.generating import Generative
from chainrule.training.progress import Progress
from chainrule.training.showing import is_watched

if TYPE_CHECKING:
    from chainrule.explain.check import GradientCheck
    from chainrule.explain.derivation import Explanation
    from chainrule.explain.health import Diagnosis, ThroughTime
    from chainrule.explain.inside import Look
    from chainrule.explain.learning_rate import LearningRates
    from chainrule.formats.weights import Transfer

__all__ = ["Data", "Run", "Weights"]
#: As many epochs as nobody waits for: something else ends the training.
_ENDLESS = 10**9


#: Weights to begin with: of a run, of the folder of one, of a safetensors file, or arrays by path.
Weights: TypeAlias = "Run | str | Path | Mapping[str, Array]"


class Run(Generative):
    """A model with its data preparation, its parameters and its history, trained or being trained.

    `fit` makes one. ``model``, ``loss`` and ``optimizer`` are None for a step of your own.
    """

    def __init__(
        self,
        step: Step,
        *,
        engine: Engine,
        batch_size: int,
        dtype: str,
        seed: int,
        model: AnyLayer | None = None,
        loss: Loss | None = None,
        optimizer: Optimizer | None = None,
        regularizer: Regularizer | None = None,
        augmentation: Augmentation | None = None,
        preparation: Preparation | None = None,
        classes: tuple[str, ...] | None = None,
        spec: DataSpec | None = None,
        name: str = "",
        frozen: tuple[str, ...] = (),
    ) -> None:
        step = step.freezing(frozen)
        super().__init__(step, engine, batch_size=batch_size, dtype=dtype, seed=seed, preparation=preparation)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.regularizer, self.augmentation = regularizer, augmentation
        self.classes, self.spec, self.name, self.frozen = classes, spec, name, frozen
        #: What became of the weights that the run was to begin with, if there were such.
        self.transfer: Transfer | None = None
        self.shuffle = True
        #: Where the data came from, and what else is to be known to go on: plain values, kept in run.toml.
        self.source: dict[str, Any] = {}
        #: What the run was saved with, if it was loaded: versions, processor, cores.
        self.made_with: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        count = sum(array.size for array in self.parameters.values())
        return (
            f"<Run {self.name or self.step.name}: {count:,} parameters, epoch {self.epoch}, step {len(self.history)}>"
        )

    # ---- training -------------------------------------------------------------------------------------------------

    def fit(
        self,
        train: Data,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        seconds: float | None = None,
        validation: Data | None = None,
        metrics: Metrics = (),
        callbacks: Sequence[Callback] = (),
        progress: bool | None = None,
    ) -> Run:
        """Train on until ``epochs`` epochs are done in all: a run that stands at 10 does 10 more for 20.

        ``steps``, in all too, and ``seconds``, of this call, end it earlier, or by themselves: `training.StopAfter`.
        What is done does not depend on how it is cut: 20 epochs, or 10 and 10 more, or a run that was interrupted,
        saved, loaded and gone on with, end with the same bits. Ctrl-C ends it early and leaves the run usable.

        ``metrics`` are measured on the validation data after each epoch, as `evaluate` does it, and recorded as
        "validation_f1" and so on, for callbacks to watch.
        """
        if epochs is None and steps is None and seconds is None:
            raise ConfigurationError("how long? Give fit epochs, steps or seconds")
        if epochs is not None and (not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1):
            raise ConfigurationError(f"epochs is a whole number above 0, not {epochs!r}")
        _check_callbacks(callbacks)
        spec, arrays = feed(train, self.preparation, self.classes)
        refuse_other_kinds(self.spec, spec)
        self._refuse_other(train)
        if self.spec is not None and self.spec.samples != spec.samples:
            self.offset = 0  # an epoch that was begun on other data is begun anew
        self.spec = spec
        watching = list(callbacks)
        if steps is not None or seconds is not None:
            watching.append(StopAfter(steps=steps, seconds=seconds))
        if progress or (progress is None and is_watched()):
            watching.append(Progress(epochs, spec.samples))
        self.metrics = as_metrics(metrics)
        if self.metrics and validation is None:
            raise ConfigurationError("metrics are measured on validation data: give validation=…, or call evaluate")
        validate: Callable[[], dict[str, float]] | None = None
        if validation is not None:
            self._refuse_other(validation)  # now, not after the first epoch
            refuse_other_metrics(self.metrics, validation, self.model is not None)
            validate = functools.partial(self.evaluate, validation, self.metrics)
        self._tell_differences()
        parts = {"training": contents(train)} | ({} if validation is None else {"validation": contents(validation)})
        self.source = {**self.source, "parts": parts}
        try:
            last = _ENDLESS if epochs is None else epochs
            self.loop(spec.samples, self._feed(train, spec, arrays, last), last, watching, validate)
        except (NotFiniteError, StreamError, RunFileError) as error:
            error.run = self
            raise
        return self

    def differences(self) -> str:
        """What is another than when the run was saved, versions and machine, in one line; empty if nothing is."""
        from chainrule.formats.machine import differences

        return differences(self.made_with, self.engine)

    def _tell_differences(self) -> None:
        told, self.made_with = self.differences() if self.made_with else "", {}
        if told:
            warnings.warn(told, RuntimeWarning, stacklevel=3)

    def _feed(self, train: Data, spec: DataSpec, arrays: Mapping[str, Array], epochs: int) -> Feed:
        size, order = min(self.batch_size, spec.samples), self._order(spec.samples)
        if not isinstance(train, Stream):
            bounds = train.length_bounds if isinstance(train, Dataset) else ()
            return Bucketed(spec, arrays, order, size, bounds) if bounds else Resident(spec, arrays, order, size)
        ring = Ring(train, size, first=self.epoch, start=self.offset, last=epochs, order=order)
        return Staged(spec, arrays, ring)

    def _order(self, samples: int) -> Callable[[int], Array]:
        return lambda epoch: epoch_order(self.seed, epoch, samples, shuffle=self.shuffle)

    # ---- what was learned -----------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Array]:
        """Copies of the parameters, by path ("0.weight")."""
        prefix = f"{PARAMETERS}/"
        return {name[len(prefix) :]: array.copy() for name, array in self.arrays.items() if name.startswith(prefix)}

    def set_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Put values in place of parameters, by path: all of them, or, if a name or a shape does not fit, none."""
        for path, value in parameters.items():
            old = self.arrays.get(f"{PARAMETERS}/{path}")
            if old is None:
                raise ConfigurationError(f"there is no parameter {path!r}; there are {', '.join(self.parameters)}")
            if np.shape(value) != old.shape:
                raise ShapeError(
                    f"parameter {path} is {list(old.shape)}, and the value given is {list(np.shape(value))}"
                )
        for path, value in parameters.items():
            full = f"{PARAMETERS}/{path}"
            self.arrays[full] = np.array(value, dtype=self.arrays[full].dtype)

    def averaged(self) -> Run:
        """This run with the averaged weights in the place of the last: to evaluate, predict, save, or train on.

        The averages are those of `chainrule.optimizers.Averaging` in the optimizer; other parameters, and the state of
        layers, stay what they are. This run is left as it is.
        """
        found = averaged(self.arrays)
        if not found:
            raise ConfigurationError(
                "no weights are averaged in this run; put Averaging into its optimizer: "
                "Compose(Adam(0.001), Averaging(0.999))"
            )
        other = copy.copy(self)
        other.arrays, other.numbers, other.source = {**self.arrays, **found}, dict(self.numbers), dict(self.source)
        other.history = copy.deepcopy(self.history)
        return other

    @property
    def layers(self) -> tuple[Applied, ...]:
        """The layers as they were applied, with shapes: what a summary shows."""
        return self.any_graph(self._known_spec()).applied

    # ---- looking inside, and keeping ------------------------------------------------------------------------------

    def summary(self) -> str:
        """The layers, their shapes and their parameter counts, as text."""
        from chainrule.explain.summary import summarize

        text: str = summarize(self)
        return text

    def plan(self) -> str:
        """The step as the engine runs it, as text: nodes, loops, kernels and bytes, and then each loop."""
        spec = self._known_spec()
        program: Any = self.built(spec, min(self.batch_size, spec.samples))[1]
        if self.optimizer is not None and hasattr(self.optimizer, "drive"):
            raise ConfigurationError(f"{type(self.optimizer).__name__} takes its steps on the host; they have no plan")
        if not hasattr(program, "plan"):
            raise ConfigurationError(
                f"the {self.engine.name} engine evaluates the graph as it is; it has no plan to show"
            )
        return f"{program.plan}\n{program.loops()}"

    def explain(self, data: Data, sample: int, parameter: str) -> Explanation:
        """How the gradient of one parameter ("0.weight[3,2]") for one sample came about; see `chainrule.explain`."""
        from chainrule.explain.derivation import explain

        return explain(self, data, sample, parameter)

    def diagnose(self, data: Data, *, curvature: bool = True) -> Diagnosis:
        """What goes wrong in this training as it is now, and why, in words; see `chainrule.explain.health`."""
        from chainrule.explain.health import diagnose

        return diagnose(self, data, curvature=curvature)

    def gradient_through_time(self, data: Data) -> tuple[ThroughTime, ...]:
        """The gradient's norm by the state at each step before the end, of each recurrent layer; each prints."""
        from chainrule.explain.health import gradient_through_time

        return gradient_through_time(self, data)

    def look(self, data: Dataset, sample: int = 0, what: Sequence[str] | None = None, **settings: Any) -> Look:
        """What the network looks for, what it sees in a sample, and where it errs; see `chainrule.explain.inside`."""
        from chainrule.explain.inside import look

        return look(self, data, sample, what, **settings)

    def check(self, data: Data, **settings: Any) -> GradientCheck:
        """Compare the gradients with differences of the loss; see `chainrule.explain.check`."""
        from chainrule.explain.check import check_gradients

        return check_gradients(self, data, **settings)

    def find_learning_rate(self, data: Data, **settings: Any) -> LearningRates:
        """See which learning rate suits, by some steps of a copy; see `chainrule.explain.learning_rate`."""
        from chainrule.explain.learning_rate import find_learning_rate

        return find_learning_rate(self, data, **settings)

    def report(self, path: str | Path, test: Data | None = None) -> Path:
        """Write a page of HTML about this run, and give its place: curves, data, model, settings, how to do it again.

        It is one file that needs no network and no script. With ``test`` data it says how well the run does on them:
        a confusion matrix of classes, residuals of numbers. A ``path`` that is a folder gets a report.html in it.

        >>> import chainrule as cr
        >>> train, test = cr.data.load("iris")
        >>> run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, epochs=3)
        >>> import tempfile
        >>> run.report(tempfile.mkdtemp(), test).name
        'report.html'
        """
        from chainrule.report import write_report

        return write_report(self, path, test)

    def save(self, folder: str | Path) -> Path:
        """Write the run as a folder of plain files; `load` brings it back, to be used or trained on."""
        from chainrule.formats.runs import save_run

        return save_run(self, Path(folder))


def _check_callbacks(callbacks: Sequence[Callback]) -> None:
    if not isinstance(callbacks, list | tuple):
        raise ConfigurationError(f"callbacks is a list of callbacks, not {callbacks!r}")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise ConfigurationError(
                f"a callback is an object of a class derived from chainrule.Callback, not {callback!r}; "
                "chainrule.training.OnEpoch makes one of a function"
            )
