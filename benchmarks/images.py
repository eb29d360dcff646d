"""How long the training of a small convolutional network waits for images that are read while it goes on.

    python benchmarks/images.py

12,800 images of noise in batches of 64: of 28×28×1 for two convolutions (32 and 64 channels, pooled) and a dense layer
of 128 units, and of 64×64×3 for the same. The sources: arrays in memory; one .npy file mapped into memory, in the
order of the run; an idx file, mapped; and PNG and JPEG files, each decoded once an epoch by one thread beside the
training. Waiting is the part of the second epoch's seconds in which the loop had no batch; what decoding takes of the
cores, where there are few, does not show there but in the milliseconds a step, which are those of the same epoch.
Reading alone is what a batch takes when nothing trains: where that is more than a step, the loop would have to wait.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import chainrule as cr
from chainrule.keys import Key

BATCH = 64


def network() -> Any:
    """As large as the small networks for MNIST are."""
    return cr.Chain(
        cr.Conv2D(32, 3, cr.relu, padding="same"), cr.MaxPool2D(2), cr.Conv2D(64, 3, cr.relu, padding="same"),
        cr.MaxPool2D(2), cr.Flatten(), cr.Dense(128, cr.relu), cr.Dense(10),
    )  # fmt: skip


def write_idx(path: Path, images: np.ndarray) -> Path:
    """An idx file of uint8."""
    sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
    path.write_bytes(bytes([0, 0, 8, images.ndim]) + sizes + images.tobytes())
    return path


def write_files(folder: Path, images: np.ndarray, kind: str) -> Path:
    """A file for each image, smooth as photos are, in folders of ten classes."""
    for number, image in enumerate(images):
        target = folder / str(number % 10)
        target.mkdir(parents=True, exist_ok=True)
        shrunk = Image.fromarray(image.squeeze()).resize((8, 8))
        shrunk.resize(image.shape[1::-1], Image.Resampling.BICUBIC).save(target / f"{number:05}.{kind}")
    return folder


def sources(folder: Path, shape: tuple[int, int, int], count: int) -> dict[str, Any]:
    """The same kind of images from each."""
    images = Key(0).bits(count * int(np.prod(shape)) // 4).view(np.uint8).reshape(count, *shape)
    labels = np.arange(count) % 10
    whole = cr.data.from_arrays(images, labels, preparation=cr.data.Preparation(scale=1 / 255))
    np.save(folder / "images.npy", images)
    write_idx(folder / "images-idx", images)
    settings: dict[str, Any] = {"classes": 10, "preparation": whole.preparation}
    found = {
        "in memory": whole,
        "a mapped .npy file": cr.data.stream((np.load(folder / "images.npy", mmap_mode="r"), labels), **settings),
        "a mapped idx file": cr.data.stream((cr.data.map_idx(folder / "images-idx"), labels), **settings),
    }
    for kind in ("png", "jpg"):
        found[f"{kind} files"] = cr.data.image_stream(write_files(folder / kind, images, kind))
    packed = cr.data.images(folder / "jpg", into=folder / "packed.npy")
    found["jpg files, packed into a .npy file"] = cr.data.stream(packed)
    return found


def alone(data: Any, count: int) -> float:
    """Milliseconds of reading a batch, in the shuffled order, when nothing else is done."""
    if not isinstance(data, cr.data.Stream):
        return 0.0
    start = time.perf_counter()
    for _ in data.chunks(0, 0, lambda epoch: cr.data.epoch_order(0, epoch, count)):
        pass
    return 1000 * (time.perf_counter() - start) * BATCH / count


def main() -> None:
    """Measure each source, and print a row for it."""
    count = int(sys.argv[sys.argv.index("--count") + 1]) if "--count" in sys.argv else 12_800
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    for shape, images in (((28, 28, 1), count), ((64, 64, 3), count // 4)):
        print(f"\n{'×'.join(map(str, shape)):40}{'ms a step':>12}{'waiting':>10}{'reading alone, ms a batch':>28}")
        with tempfile.TemporaryDirectory() as folder:
            for name, data in sources(Path(folder), shape, images).items():
                run = cr.fit(network(), data, epochs=2, batch_size=BATCH, optimizer=cr.optimizers.Adam(0.001),
                             progress=False)  # fmt: skip
                record = run.history.epochs[-1]
                waited = record.get("waited", 0.0) / record["seconds"]
                step = 1000 * record["seconds"] * BATCH / images
                print(f"{name:40}{step:12.2f}{waited:10.2%}{alone(data, images):28.2f}", flush=True)


if __name__ == "__main__":
    main()
