"""The data of the workloads, written once as files that each process reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.speed.workload import Array, Given, Workload, first_parameters

SAMPLES, IMAGES = 60_000, 4096
#: Symbols of the text, and how long a sample of it is.
SYMBOLS, LENGTH = 65, 64


def write_data(folder: Path, kinds: Sequence[str]) -> dict[str, str]:
    """The data of these kinds as files; says where each came from."""
    return {kind: _WRITERS[kind](folder) for kind in kinds}


def read(folder: Path, workload: Workload, dtype: str = "float32") -> Given:
    """What `write_data` wrote, in the dtype that a peer is fastest with, if it is there in that."""
    paths = (folder / f"{workload.data}-{kind}.npy" for kind in (dtype, "float32", "int32"))
    inputs = np.load(next(path for path in paths if path.exists()))
    labels = np.load(folder / f"{workload.data}-labels.npy")
    return Given(workload, inputs.reshape(len(inputs), *workload.shape), labels, first_parameters(workload))


def _write_images(folder: Path, kind: str, images: Array, labels: Array) -> None:
    np.save(folder / f"{kind}-uint8.npy", images)
    np.save(folder / f"{kind}-float32.npy", images.astype(np.float32) / np.float32(255))
    np.save(folder / f"{kind}-labels.npy", labels)


def _digits(folder: Path) -> str:
    import chainrule as cr

    try:
        train, _ = cr.data.load("mnist")
    except cr.errors.ChainruleError:
        # The time of a step depends on the shapes alone; what is learned from noise still has to be alike for all.
        random = np.random.default_rng(5)
        images, labels = random.integers(0, 256, (SAMPLES, 784), np.uint8), random.integers(0, 10, SAMPLES, np.int32)
        _write_images(folder, "digits", images, labels)
        return "random numbers of MNIST's shapes (MNIST is not here)"
    assert train.labels is not None
    _write_images(folder, "digits", train.inputs.reshape(len(train), -1), np.asarray(train.labels))
    return "MNIST"


def _points(folder: Path) -> str:
    random = np.random.default_rng(3)
    points = random.standard_normal((4096, 20)).astype(np.float32)
    np.save(folder / "points-float32.npy", points)
    np.save(folder / "points-labels.npy", (np.sin(points[:, 0]) + points[:, 1] * points[:, 2] > 0).astype(np.int32))
    return "points"


def _images(folder: Path) -> str:
    random = np.random.default_rng(13)
    drawings = random.integers(60, 196, (10, 32, 32, 3))
    labels = random.integers(0, 10, IMAGES, np.int32)
    images = drawings[labels] + random.integers(-60, 60, (IMAGES, 32, 32, 3))
    # One value is the largest there can be, so that all peers divide by 255.
    images[0, 0, 0, 0] = 255
    _write_images(folder, "images", images.astype(np.uint8), labels)
    return "random drawings with noise, of CIFAR-10's shapes"


def _text(folder: Path) -> str:
    import chainrule as cr

    try:
        train, _ = cr.data.load("tinyshakespeare")
    except cr.errors.ChainruleError:
        random = np.random.default_rng(17)
        rows, source = random.integers(0, SYMBOLS, (4096, LENGTH + 1)), "random symbols (tinyshakespeare is not here)"
    else:
        assert train.targets is not None
        rows, source = np.concatenate([train.inputs, train.targets[:, -1:]], 1), "tinyshakespeare"
    # Numbered anew, so that there are as many as occur.
    symbols = np.unique(rows, return_inverse=True)[1].reshape(rows.shape).astype(np.int32)
    assert symbols.max() < SYMBOLS, f"{symbols.max() + 1} symbols, and the networks have {SYMBOLS}"
    np.save(folder / "text-int32.npy", symbols[:, :-1])
    np.save(folder / "text-labels.npy", symbols[:, 1:])
    return source


_WRITERS: dict[str, Callable[[Path], str]] = {"digits": _digits, "points": _points, "images": _images, "text": _text}
