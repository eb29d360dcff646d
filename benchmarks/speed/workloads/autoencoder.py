"""Learn the inputs themselves, through a narrow middle."""

from __future__ import annotations

from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "autoencoder",
    sizes=(784, 128, 32, 128, 784),
    update=Update("adam", 1e-3),
    batch=128,
    output="sigmoid",
    loss="squared_error",
    bar=1.6,
    aim=1.9,
)
