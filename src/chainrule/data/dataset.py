"""Samples and what they should become: the form in which every source hands over its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data.checking import as_inputs, as_targets, as_weights
from chainrule.data.preparation import Preparation
from chainrule.data.scaling import Scaling
from chainrule.data.splitting import split_indices
from chainrule.errors import ConfigurationError, DataError


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Inputs, targets and how to prepare them, checked when made.

    ``inputs`` (samples, …) are uint8, float32 or float64; other whole numbers become float32. ``targets`` are
    labels, whole numbers (samples,) that become int32 and count into ``classes``; or numbers (samples, …) that
    become float32 or float64; or None where there is nothing to predict. Where the preparation says that inputs are
    symbols, they are int32, and so are targets (samples, positions), one symbol a position, -1 for none.
    ``weights`` (samples,) say how much each sample counts. ``note`` says what was recognised in the source, and why.
    The arrays are read-only.

    Raises DataError for zero rows, lengths that differ, text, NaN or infinity (with row and column, counted
    from 0) and a label outside its classes.

    >>> data = Dataset(np.zeros((4, 2)), np.array([0, 1, 1, 0]))
    >>> len(data), data.classes, data.targets.dtype
    (4, ('0', '1'), dtype('int32'))
    """

    inputs: NDArray[Any]
    targets: NDArray[Any] | None = None
    weights: NDArray[Any] | None = None
    classes: tuple[str, ...] | None = None
    preparation: Preparation = field(default_factory=Preparation)
    name: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        classes = None if self.classes is None else tuple(str(name) for name in self.classes)
        source = self.name or "the data"
        symbols = self.preparation.symbols
        inputs = as_inputs(self.inputs, source, self.preparation.feature_names(), symbols)
        targets, classes = as_targets(self.targets, len(inputs), classes, source, symbols)
        features = self.preparation.features
        if features is not None and inputs.shape[-1] != features:
            raise DataError(
                f"{source}: the preparation is for {features} features, but samples of shape {inputs.shape[1:]} came"
            )
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "weights", as_weights(self.weights, len(inputs), source))
        object.__setattr__(self, "classes", classes)

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        return f"<Dataset {self.describe()}>"

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """The targets where they are labels, one a sample, else None."""
        found = self.targets
        return found if found is not None and found.dtype == np.int32 and found.ndim == 1 else None

    @property
    def symbolic(self) -> bool:
        """Whether the targets are symbols, one a position."""
        return self.targets is not None and self.targets.dtype == np.int32 and self.targets.ndim > 1

    @property
    def length_bounds(self) -> tuple[int, ...]:
        """The lengths below a sample's own to which a batch of short texts may be cut while learning."""
        form = self.preparation.text
        return () if form is None or self.symbolic else form.buckets

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample's inputs."""
        return tuple(self.inputs.shape[1:])

    def subset(self, indices: ArrayLike) -> Dataset:
        """The samples at ``indices`` (whole numbers, or a mask of bool), in that order."""
        chosen = np.asarray(indices)
        if chosen.dtype == np.bool_:
            if chosen.shape != (len(self),):
                raise DataError(f"a mask of shape {chosen.shape} cannot choose among {len(self)} samples")
        elif chosen.ndim != 1 or not np.issubdtype(chosen.dtype, np.integer):
            raise DataError("indices are a list of whole numbers, or a mask of bool")
        elif chosen.size and (chosen.min() < -len(self) or chosen.max() >= len(self)):
            raise DataError(f"there are {len(self)} samples; index {chosen.max()} or {chosen.min()} is none of them")
        return replace(
            self,
            inputs=self.inputs[chosen],
            targets=None if self.targets is None else self.targets[chosen],
            weights=None if self.weights is None else self.weights[chosen],
        )

    def split(self, fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """A training part, and a test part of ``fraction`` of the samples; by class where there are labels.

        One seed always gives one split; both parts keep the order of the data.

        >>> train, test = Dataset(np.zeros((10, 1)), np.array([0, 1] * 5)).split(0.2)
        >>> len(train), sorted(test.targets.tolist())
        (8, [0, 1])
        """
        train, test = split_indices(len(self), fraction, seed, self.labels)
        return self.subset(train), self.subset(test)

    def one_hot(self, off: float = 0.0, on: float = 1.0) -> Dataset:
        """Labels as float32 targets (samples, classes): ``on`` for the class of the sample, ``off`` elsewhere.

        ``one_hot(-1, 1)`` suits tanh outputs, ``one_hot(0.1, 0.9)`` sigmoid outputs.

        >>> Dataset(np.zeros((2, 1)), np.array([1, 0])).one_hot(-1, 1).targets.tolist()
        [[-1.0, 1.0], [1.0, -1.0]]
        """
        labels, classes = self.labels, self.classes
        if labels is None or classes is None:
            raise DataError(f"{self.name or 'the data'}: one_hot needs labels, but {self._told()} came")
        targets = np.full((len(self), len(classes)), off, dtype=np.float32)
        targets[np.arange(len(self)), labels] = on
        return replace(self, targets=targets)

    def weigh_classes(self, weights: str | Mapping[str, float] = "balanced") -> Dataset:
        """These data with weights by class, so that every loss and metric has them: give it to the training part.

        "balanced" weighs the class c by N/(K·N_c), with N_c the weight of its samples, N that of all and K the number
        of classes that have samples: each class counts as much as any other. A mapping gives the weight of a class by
        its name, and of those it leaves out 1. Weights that the samples have already are multiplied.

        >>> few = Dataset(np.zeros((5, 1)), np.array([0, 0, 0, 0, 1]), classes=("no", "yes"))
        >>> few.weigh_classes().weights.tolist(), few.weigh_classes({"yes": 3}).weights.tolist()
        ([0.625, 0.625, 0.625, 0.625, 2.5], [1.0, 1.0, 1.0, 1.0, 3.0])
        """
        labels, classes = self.labels, self.classes
        if labels is None or classes is None:
            raise DataError(f"{self.name or 'the data'}: weigh_classes needs labels, but {self._told()} came")
        own = np.ones(len(self)) if self.weights is None else self.weights.astype(np.float64)
        factors = np.ones(len(classes))
        if weights == "balanced":
            counted = np.bincount(labels, own, minlength=len(classes))
            there = counted > 0
            factors[there] = own.sum() / (there.sum() * counted[there])
        elif isinstance(weights, Mapping):
            for name, weight in weights.items():
                if str(name) not in classes:
                    raise ConfigurationError(f"there is no class {name!r} to weigh; there are {', '.join(classes)}")
                number = isinstance(weight, int | float) and not isinstance(weight, bool)
                if not number or not 0 <= weight < np.inf:
                    raise ConfigurationError(f"the weight of class {name!r} is a number of 0 or more, not {weight!r}")
                factors[classes.index(str(name))] = weight
        else:
            raise ConfigurationError(f'weights of classes are "balanced" or a mapping by class, not {weights!r}')
        return replace(self, weights=own * factors[labels])

    def targets_into(self, low: float, high: float) -> Dataset:
        """These data with targets that the network learns as numbers from ``low`` to ``high``: its output's range.

        Predictions come back in the targets' own units. Give other parts of the data the same: `prepared_as`.

        >>> prices = Dataset(np.zeros((2, 1)), np.array([[100.0], [300.0]])).targets_into(-0.8, 0.8)
        >>> prices.preparation.target.forward(prices.targets).ravel().round(6).tolist()
        [-0.8, 0.8]
        """
        if self.targets is None or self.labels is not None or self.symbolic:
            raise DataError(
                f"{self.name or 'the data'}: targets_into needs targets that are numbers, not {self._told()}"
            )
        scaling = Scaling.to_range(self.targets, low, high)
        return replace(self, preparation=replace(self.preparation, target=scaling))

    def standardize(self) -> Dataset:
        """These data with a preparation that gives every feature mean 0 and deviation 1, as measured here.

        Raw images (more than one axis a sample) get one shift and one scale; uint8 is brought into 0 … 1.
        Give the same preparation to other parts of the data: ``test.prepared_as(train)``.
        """
        if self.preparation.symbols:
            raise DataError(f"{self.name or 'the data'}: symbols are no quantities; there is nothing to standardise")
        if self.inputs.dtype == np.uint8:
            scaling = Scaling(0.0, 1.0 / max(float(self.inputs.max()), 1.0))
        elif self.inputs.ndim == 2:
            scaling = Scaling.standardize(self.inputs)
        else:
            scaling = Scaling.standardize(self.inputs.ravel())
        return replace(self, preparation=replace(self.preparation, shift=scaling.shift, scale=scaling.scale))

    def prepared_as(self, other: Dataset) -> Dataset:
        """These data with the preparation of ``other``: statistics come from the training part alone."""
        return replace(self, preparation=other.preparation)

    def check_trainable(self) -> None:
        """Raise DataError where training could only mislead: one class in all the data, or no weight."""
        labels = self.labels
        if labels is not None and self.classes is not None and labels.min() == labels.max():
            raise DataError(
                f"{self.name or 'the data'}: every one of the {len(self):,} samples is of class "
                f"{self.classes[labels[0]]!r}; there is nothing to tell apart. Add samples of another class"
            )
        if self.weights is not None and not self.weights.any():
            raise DataError(f"{self.name or 'the data'}: all weights are 0, so no sample counts")

    def describe(self) -> str:
        """One line: how many samples, of what, to predict what.

        >>> Dataset(np.zeros((3, 2), np.float32), np.array([0, 1, 1]), name="tiny").describe()
        'tiny: 3 samples of 2 numbers (float32), 2 classes of 1 to 2 samples'
        """
        symbols = self.preparation.symbols
        what = f"{_times(self.sample_shape)[:-7]}symbols" if symbols else _times(self.sample_shape)
        inputs = f"{what} ({f'of {symbols:,}' if symbols else self.inputs.dtype})"
        return f"{self.name or 'data'}: {len(self):,} samples of {inputs}, {self._told()}"

    def _told(self) -> str:
        if self.targets is None:
            return "no targets"
        if self.symbolic:
            return "a symbol to each position"
        if self.labels is not None and self.classes is not None:
            counts = np.bincount(self.labels, minlength=len(self.classes))
            return f"{len(self.classes):,} classes of {_span(counts.min(), counts.max())}"
        return f"targets of {_times(self.targets.shape[1:])} ({self.targets.dtype})"


def _span(fewest: int, most: int) -> str:
    samples = f"{most:,} sample{'' if most == 1 else 's'}"
    return samples if fewest == most else f"{fewest:,} to {samples}"


def _times(shape: Sequence[int]) -> str:
    return "1 number" if set(shape) <= {1} else "×".join(f"{size:,}" for size in shape) + " numbers"


def from_arrays(
    inputs: ArrayLike,
    targets: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    *,
    weights: ArrayLike | None = None,
    preparation: Preparation | None = None,
    name: str = "",
) -> Dataset:
    """A data set from arrays; text targets become labels, with their sorted distinct values as classes.

    Inputs pass as they are; ``from_arrays(…).standardize()`` scales them.

    >>> from_arrays([[0.0], [1.0]], ["no", "yes"]).classes
    ('no', 'yes')
    """
    if isinstance(classes, str):
        raise ConfigurationError(f"classes: a sequence of names was expected, not the text {classes!r}")
    wanted = None if classes is None else tuple(str(one) for one in classes)
    if targets is not None:
        array = np.asarray(targets)
        if array.dtype == object and array.size and all(isinstance(one, str) for one in array.flat):
            array = array.astype(np.str_)
        if array.dtype.kind == "U":
            array, wanted = _text_labels(array, wanted, name or "the data")
        targets = array
    return Dataset(
        np.asarray(inputs),
        None if targets is None else np.asarray(targets),
        None if weights is None else np.asarray(weights),
        wanted,
        preparation or Preparation(),
        name,
    )


def _text_labels(
    texts: NDArray[np.str_], classes: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    if texts.ndim != 1:
        raise DataError(f"{source}: text targets of shape {texts.shape}; one text a sample was expected")
    distinct, labels = np.unique(texts, return_inverse=True)
    if classes is None:
        return labels.astype(np.int32), tuple(str(one) for one in distinct)
    unknown = [str(one) for one in distinct if str(one) not in classes]
    if unknown:
        raise DataError(f"{source}: target {unknown[0]!r} is not one of the classes {', '.join(map(repr, classes))}")
    order = np.array([classes.index(str(one)) for one in distinct], dtype=np.int32)
    return order[labels], classes
