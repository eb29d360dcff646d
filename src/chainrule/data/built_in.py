"""The data sets that come along with chainrule, and the two that are found by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.errors import DataError

FOLDER = Path(__file__).parent / "builtin"
_FASHION = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_DIGITS = tuple("0123456789")


def digits(images: bool = False) -> tuple[Dataset, Dataset]:
    """1,797 handwritten digits of 8×8 points, 0 … 16, in a split that is the same for everyone."""
    from chainrule.data.archives import read_npz

    arrays = read_npz(FOLDER / "digits.npz")
    preparation = Preparation(scale=1.0 / 16.0, shape=(8, 8))
    inputs = _as_images(arrays["inputs"], (8, 8), images)
    return Dataset(inputs, arrays["targets"], None, _DIGITS, preparation, "digits").split(0.2, seed=0)


def xor() -> tuple[Dataset, Dataset]:
    """The four samples of exclusive or; there is nothing to set apart, so both parts are the same."""
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    whole = Dataset(inputs, np.array([0, 1, 1, 0]), None, ("0", "1"), name="xor")
    return whole, whole


def images_by_name(
    name: str, images: bool = False, progress: Callable[[str, int, int | None], None] | None = None
) -> tuple[Dataset, Dataset]:
    """MNIST or Fashion-MNIST: 60,000 and 10,000 images of 28×28 points, 0 … 255."""
    from chainrule.data.sources import find

    folder = find(name, progress=progress)
    classes = _FASHION if name == "fashion-mnist" else _DIGITS
    preparation = Preparation(scale=1.0 / 255.0, shape=(28, 28))
    train, test = (
        Dataset(
            _as_images(_read(folder, f"{part}-images-idx3-ubyte", (28, 28)), (28, 28), images),
            _read(folder, f"{part}-labels-idx1-ubyte", ()),
            None,
            classes,
            preparation,
            name,
        )
        for part in ("train", "t10k")
    )
    return train, test


def _read(folder: Path, name: str, sample: tuple[int, ...]) -> NDArray[Any]:
    from chainrule.data.archives import read_idx

    path = folder / name if (folder / name).is_file() else folder / f"{name}.gz"
    array = read_idx(path)
    if array.dtype != np.uint8 or array.shape[1:] != sample:
        raise DataError(
            f"{path}: holds {array.dtype} of shape {array.shape}; uint8 samples of shape {sample} were expected"
        )
    return array


def _as_images(inputs: NDArray[Any], shape: tuple[int, int], images: bool) -> NDArray[Any]:
    return inputs.reshape(-1, *shape, 1) if images else inputs.reshape(-1, shape[0] * shape[1])
