"""Two convolutions with pooling and two dense layers, on digits."""

from __future__ import annotations

from benchmarks.speed.network import Activation, Convolution, Dense, Flatten, MaxPool
from benchmarks.speed.workload import Update, Workload

RELU = Activation("relu")
WORKLOAD = Workload(
    "lenet",
    "28×28×1: conv 3×3×32 same relu, pool 2, conv 3×3×64 same relu, pool 2, dense 128 relu, dense 10",
    shape=(28, 28, 1),
    network=(
        *(Convolution(32), RELU, MaxPool(2)),
        *(Convolution(64), RELU, MaxPool(2)),
        *(Flatten(), Dense(128), RELU, Dense(10)),
    ),
    update=Update("adam", 1e-3),
    batch=64,
    bar=1.6,
    aim=1.9,
)
