"""One sample a step: a product of a vector and a matrix, and a weight gradient of rank 1."""

from __future__ import annotations

from benchmarks.speed.network import stack
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "mlp-1",
    "784-300-10 sigmoid",
    shape=(784,),
    network=stack((300, 10), "sigmoid"),
    update=Update("plain", 0.02),
    batch=1,
    bar=3.5,
    aim=5.0,
)
