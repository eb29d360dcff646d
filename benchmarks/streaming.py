"""How long a training waits for data that stream, beside the same training on data in memory.

    python benchmarks/streaming.py

MNIST's shape (60,000 samples of 784 bytes, noise: it is the time that is measured), 784-300-10, batches of 32, two
epochs, of which the second is told. The sources: arrays in memory cut into chunks; a memory-mapped .npy file read in
the order of the run; one made on the fly from random bits; and one that sleeps, too slow on purpose, to see that the
waiting is measured. Waiting is the part of an epoch's seconds in which the loop had no batch to work on.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.keys import Key

SAMPLES, CHUNK, BATCH_SIZE = 60_000, 1000, 32


def made(part: int, rows: int = CHUNK) -> Any:
    """A chunk from random bits."""
    return Key(0).child(part).bits(rows * 784 // 4).view(np.uint8).reshape(rows, 784)


def main() -> None:
    """Measure each source, and print a row for it."""
    inputs = np.concatenate([made(part, 500) for part in range(4)] * (SAMPLES // 2000))
    labels = (np.arange(SAMPLES) * 7 % 10).astype(np.int32)
    train = cr.data.from_arrays(inputs, labels).standardize()

    def cut(pause: float, fresh: bool) -> Callable[[int], Iterator[Any]]:
        def source(epoch: int) -> Iterator[Any]:
            for start in range(0, SAMPLES, CHUNK):
                time.sleep(pause)
                chunk = made(start) if fresh else inputs[start : start + CHUNK]
                yield chunk, labels[start : start + CHUNK]

        return source

    def streamed(pause: float = 0.0, fresh: bool = False) -> cr.data.Stream:
        return cr.data.stream(cut(pause, fresh), samples=SAMPLES, classes=10).prepared_as(train)

    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "inputs.npy", inputs)
        mapped = np.load(Path(folder) / "inputs.npy", mmap_mode="r")
        sources = {
            "in memory": train,
            "stream: arrays in chunks of 1,000": streamed(),
            "stream: memory-mapped file, shuffled": cr.data.stream((mapped, labels), classes=10).prepared_as(train),
            "stream: made on the fly": streamed(fresh=True),
            "stream: a source that sleeps": streamed(pause=0.1),
        }
        print(f"{'':40}{'samples/s':>12}{'waiting':>10}")
        for name, data in sources.items():
            model = cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10))
            run = cr.fit(model, data, epochs=2, batch_size=BATCH_SIZE, progress=False)
            record = run.history.epochs[-1]
            waited = record.get("waited", 0.0) / record["seconds"]
            print(f"{name:40}{record['samples_per_second']:12,.0f}{waited:10.2%}", flush=True)


if __name__ == "__main__":
    main()
