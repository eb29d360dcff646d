"""What a metric is: a function of targets, outputs and weights of a whole set, with a name and a direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ConfigurationError
from chainrule.metrics.reading import Answers, Numbers, read_classes, read_numbers

#: A number, or for a metric "per_class" one a class.
Value = float | NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A number of a whole set: ``metric(targets, outputs, weights)``, all of them arrays over the samples.

    ``name`` is what it is called in a table and a history, ``upwards`` whether more is better, ``on`` what it is a
    function of: "probabilities", which are the predictions in the target's own units where targets are numbers, or
    "outputs", what the last layer gives. A sample of weight 2 counts as two samples, one of weight 0 as none; the
    order of the samples changes nothing. Outputs that are not finite make every metric NaN.

    Raises `DataError` for arrays that do not fit each other, for targets that are not finite, for negative weights,
    and where no sample counts.
    """

    upwards: ClassVar[bool] = True
    on: ClassVar[str] = "probabilities"

    @property
    def name(self) -> str:
        """What it is called."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it is called")

    def __call__(self, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None) -> Value:
        """The number; NaN where it is not defined."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it measures")


@dataclass(frozen=True)
class OfClasses(Metric):
    """A metric of classes.

    Targets are labels (integers, (samples,)), or rows whose largest entry is the class. Outputs are a score a class,
    (samples, classes), of which the largest says the class (of equal ones the first); or the probability of the
    second of two classes, (samples,) or (samples, 1), which says it above 0.5; or the classes themselves, integers.
    """

    def of(self, answers: Answers) -> Value:
        """The number for labels and answers that were read."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it measures")

    def __call__(self, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None) -> Value:
        """The number; NaN where it is not defined."""
        answers = read_classes(self.name, targets, outputs, weights)
        return float("nan") if answers is None else self.of(answers)


@dataclass(frozen=True)
class OfNumbers(Metric):
    """A metric of numbers: targets and outputs are (samples, …), of one shape; several outputs give their mean."""

    upwards: ClassVar[bool] = False

    def of(self, numbers: Numbers) -> NDArray[np.float64]:
        """A number an output, for targets and predictions that were read."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it measures")

    def __call__(self, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None) -> float:
        """The number; NaN where it is not defined."""
        numbers = read_numbers(self.name, targets, outputs, weights)
        return float("nan") if numbers is None else float(self.of(numbers).mean())


@dataclass(frozen=True)
class Custom(Metric):
    """A metric of one's own: ``function(targets, outputs, weights)`` gives a number, or one a class.

    ``weights`` is None where the data have none. A plain function in a list of metrics is one of these, with the
    function's name, on probabilities, and less is better.

    >>> import numpy as np
    >>> def off_by_one(targets, outputs, weights):
    ...     return np.average(abs(outputs.argmax(axis=1) - targets) <= 1, weights=weights)
    >>> near = Custom(off_by_one, upwards=True)
    >>> near.name, near(np.array([0, 2]), np.array([[0.1, 0.9, 0.0], [0.8, 0.2, 0.0]]))
    ('off_by_one', 0.5)
    """

    function: Callable[[Any, Any, Any], Any]
    upwards: bool = field(default=False, kw_only=True)  # type: ignore[misc]
    on: str = field(default="probabilities", kw_only=True)  # type: ignore[misc]
    called: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ConfigurationError(f"a metric is a function of targets, outputs and weights, not {self.function!r}")
        if self.on not in ("probabilities", "outputs"):
            raise ConfigurationError(f'a metric is on "probabilities" or "outputs", not {self.on!r}')
        if not self.name.replace("_", "").isalnum():
            raise ConfigurationError('a metric needs a name: cr.metrics.Custom(function, called="…")')

    @property
    def name(self) -> str:
        """What it is called: as the function is, unless ``called`` says otherwise."""
        return self.called or str(getattr(self.function, "__name__", ""))

    def __call__(self, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None) -> Value:
        """What the function gives."""
        found = self.function(targets, outputs, weights)
        try:
            value = np.asarray(found, np.float64)
        except (TypeError, ValueError):
            value = np.empty((0, 0))
        if value.ndim > 1:
            raise ConfigurationError(f"the metric {self.name} gave {found!r:.80}; a number, or one a class, is wanted")
        return value if value.ndim else float(value)
