from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.data import Dataset, Preparation, from_arrays
from chainrule.errors import ConfigurationError, DataError

LABELS = np.array([0, 1, 2, 0, 1, 2])
INPUTS = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.mark.tiny
def test_whole_numbers_become_labels_and_floats_become_targets() -> None:
    labelled = Dataset(INPUTS, LABELS)
    assert labelled.targets is not None
    assert labelled.targets.dtype == np.int32
    assert labelled.classes == ("0", "1", "2")
    numbers = Dataset(INPUTS, LABELS.astype(float))
    assert numbers.targets is not None
    assert numbers.targets.shape == (6, 1)
    assert numbers.labels is None
    assert numbers.classes is None
    assert Dataset(INPUTS).targets is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.uint8, np.uint8),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.int64, np.float32),
        (bool, np.float32),
    ],
)
def test_the_dtype_of_inputs(given: Any, kept: Any) -> None:
    assert Dataset(np.ones((3, 2), given)).inputs.dtype == kept


def test_whole_numbers_too_long_for_float32_keep_their_value() -> None:
    data = Dataset(np.array([[2**24 + 1], [2**24]]))
    assert data.inputs[0, 0] - data.inputs[1, 0] == 1.0


def test_arrays_are_read_only() -> None:
    data = Dataset(INPUTS.copy(), LABELS)
    with pytest.raises(ValueError, match="read-only"):
        data.inputs[0, 0] = 1.0


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"inputs": np.zeros((0, 2))}, "there are no samples"),
    ({"inputs": np.zeros((3, 0))}, "the samples are empty"),
    ({"inputs": np.zeros(3)}, r"reshape\(-1, 1\)"),
    ({"inputs": [[1.0], [2.0, 3.0]]}, "different lengths"),
    ({"inputs": np.array([["a"], ["b"]])}, "numbers were expected, but <U1 came"),
    ({"inputs": np.array([[None], [1]])}, "numbers were expected, but object came"),
    ({"inputs": np.array([[1j]])}, "complex128 came"),
    ({"inputs": np.array([[1.0, 2.0], [3.0, np.nan]])}, "inputs, row 1, column 1: nan"),
    ({"inputs": np.full((1, 2, 2), np.inf)}, r"row 0, at \(0, 0\): inf"),
    ({"targets": LABELS[:5]}, "6 samples, but targets for 5"),
    ({"targets": np.float64(3)}, "targets for one number"),
    ({"targets": np.array(list("abcabc"))}, "targets: numbers were expected"),
    ({"targets": -LABELS}, "the label of row 2 is -2, but labels count from 0"),
    ({"targets": LABELS, "classes": ("a", "b")}, "the label of row 2 is 2, but there are 2 classes"),
    ({"targets": LABELS * 10**6}, "2,000,001 classes"),
    ({"targets": LABELS, "classes": ("a", "b", "a")}, "'a' is named twice"),
    ({"targets": np.array([1.0, 2, 3, np.inf, 5, 6])}, "targets, row 3, column 0: inf"),
    ({"targets": np.zeros((6, 2)), "classes": ("a", "b", "c")}, r"probabilities \(samples, 3\)"),
    ({"weights": np.ones(5)}, r"weights of shape \(5,\) for 6 samples"),
    ({"weights": np.array([1, 1, -2, 1, 1, 1])}, "the weight of row 2 is -2.0"),
    ({"preparation": Preparation(shift=(1.0, 2.0, 3.0))}, r"for 3 features, but samples of shape \(2,\)"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_data_is_refused_in_words(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset(**{"inputs": INPUTS, **arguments})


def test_subset_takes_targets_and_weights_along() -> None:
    data = Dataset(INPUTS, LABELS, np.arange(6.0), ("a", "b", "c"), name="six")
    for chosen in ([5, 2], np.array([False, False, True, False, False, True])):
        part = data.subset(chosen)
        assert part.targets is not None
        assert part.weights is not None
        assert part.targets.tolist() == [2, 2]
        assert sorted(part.weights.tolist()) == [2.0, 5.0]
        assert (part.classes, part.name) == (data.classes, data.name)


@pytest.mark.parametrize("indices", [[6], [-7], [0.5], [[0]], [True]])
def test_subset_refuses_indices_that_are_none(indices: Any) -> None:
    with pytest.raises(DataError):
        Dataset(INPUTS).subset(indices)


def test_split_divides_every_class_and_repeats_itself() -> None:
    data = Dataset(np.arange(100.0).reshape(100, 1), np.repeat([0, 1], [80, 20]))
    train, test = data.split(0.25, seed=3)
    again, other = data.split(0.25, seed=3)[1], data.split(0.25, seed=4)[1]
    assert test.labels is not None
    assert np.bincount(test.labels).tolist() == [20, 5]
    assert sorted([*train.inputs.ravel(), *test.inputs.ravel()]) == list(range(100))
    assert (test.inputs == again.inputs).all()
    assert (test.inputs != other.inputs).any()


def test_one_hot() -> None:
    targets = Dataset(INPUTS, LABELS).one_hot(-1, 1).targets
    assert targets is not None
    assert targets.dtype == np.float32
    assert targets[:2].tolist() == [[1, -1, -1], [-1, 1, -1]]
    with pytest.raises(DataError, match="one_hot needs labels"):
        Dataset(INPUTS).one_hot()


def test_check_trainable_refuses_a_single_class_and_no_weight() -> None:
    Dataset(INPUTS, LABELS).check_trainable()
    Dataset(INPUTS, np.zeros(6)).check_trainable()
    with pytest.raises(DataError, match="every one of the 6 samples is of class 'cat'"):
        Dataset(INPUTS, np.zeros(6, int), None, ("cat", "dog"), name="pets").check_trainable()
    with pytest.raises(DataError, match="all weights are 0"):
        Dataset(INPUTS, LABELS, np.zeros(6)).check_trainable()


def test_describe_says_what_there_is() -> None:
    assert repr(Dataset(INPUTS, LABELS, name="six")) == (
        "<Dataset six: 6 samples of 2 numbers (float32), 3 classes of 2 samples>"
    )
    assert "4×4×1 numbers (uint8), no targets" in Dataset(np.zeros((2, 4, 4, 1), np.uint8)).describe()
    assert "targets of 1 number (float64)" in Dataset(INPUTS, LABELS / 2).describe()


def test_from_arrays_turns_texts_into_labels() -> None:
    for texts in (["b", "a", "b"], np.array(["b", "a", "b"], dtype=object)):
        data = from_arrays(np.zeros((3, 1)), texts)
        assert data.classes == ("a", "b")
        assert data.targets is not None
        assert data.targets.tolist() == [1, 0, 1]
    ordered = from_arrays(np.zeros((2, 1)), ["a", "b"], classes=["b", "c", "a"])
    assert ordered.targets is not None
    assert ordered.targets.tolist() == [2, 0]
    with pytest.raises(DataError, match="target 'z' is not one of the classes 'a', 'b'"):
        from_arrays(np.zeros((2, 1)), ["a", "z"], classes=["a", "b"])
    with pytest.raises(DataError, match="one text a sample"):
        from_arrays(np.zeros((2, 1)), [["a"], ["b"]])
    with pytest.raises(ConfigurationError, match="a sequence of names"):
        from_arrays(np.zeros((2, 1)), [0, 1], classes="ab")


def test_standardize_measures_here_and_prepared_as_takes_over() -> None:
    train = Dataset(INPUTS).standardize()
    seen = train.preparation.forward(train.inputs)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-6)
    assert Dataset(INPUTS + 5).prepared_as(train).preparation == train.preparation
    assert Dataset(np.full((2, 3), 255, np.uint8)).standardize().preparation.scale == 1 / 255
    assert isinstance(Dataset(np.ones((2, 3, 3, 1))).standardize().preparation.shift, float)


def uneven(weights: list[float] | None = None) -> Dataset:
    labels = np.array([0, 0, 0, 1, 1, 3])
    return Dataset(
        np.zeros((6, 2)), labels, None if weights is None else np.array(weights), classes=("a", "b", "none", "c")
    )


def test_balanced_classes_count_alike() -> None:
    data = uneven().weigh_classes()
    assert data.weights is not None
    assert data.labels is not None
    sums = np.bincount(data.labels, data.weights)
    np.testing.assert_allclose(sums[[0, 1, 3]], 2.0)
    assert sums[2] == 0
    np.testing.assert_allclose(data.weights.sum(), 6.0)
    # Weights that are there count, and stay in their proportions.
    own = uneven([1, 2, 0, 4, 1, 1]).weigh_classes("balanced")
    assert own.weights is not None
    np.testing.assert_allclose(np.bincount(data.labels, own.weights)[[0, 1, 3]], 3.0)
    assert own.weights[1] == 2 * own.weights[0]
    assert own.weights[2] == 0


def test_classes_are_weighed_by_name() -> None:
    data = uneven([1, 1, 2, 1, 1, 1]).weigh_classes({"a": 0.5, "c": 3})
    assert data.weights is not None
    assert data.weights.tolist() == [0.5, 0.5, 1.0, 1.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"d": 1.0}, "there is no class 'd' to weigh; there are a, b, none, c"),
        ({"a": -1.0}, "the weight of class 'a' is a number of 0 or more, not -1.0"),
        ({"a": float("nan")}, "not nan"),
        ({"a": "2"}, "not '2'"),
        ("even", "weights of classes are \"balanced\" or a mapping by class, not 'even'"),
        (2.0, "not 2.0"),
    ],
)
def test_weights_of_classes_that_mean_nothing_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        uneven().weigh_classes(weights)
    assert message in str(caught.value)


def test_only_labels_can_be_weighed_by_class() -> None:
    with pytest.raises(DataError, match="weigh_classes needs labels"):
        Dataset(np.zeros((2, 1)), np.zeros((2, 1))).weigh_classes()
