"""Learn the inputs themselves, through a narrow middle."""

from __future__ import annotations

from benchmarks.speed.network import Activation, stack
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "autoencoder",
    "784-128-32-128-784 relu, sigmoid at the end",
    shape=(784,),
    network=(*stack((128, 32, 128, 784)), Activation("sigmoid")),
    update=Update("adam", 1e-3),
    batch=128,
    loss="squared_error",
    bar=1.6,
    aim=1.9,
)
