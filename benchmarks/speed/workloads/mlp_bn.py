"""Batch normalization, dropout and Adam around larger products."""

from __future__ import annotations

from benchmarks.speed.network import stack
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "mlp-bn",
    "784-512-512-10 relu + batch norm + dropout 0.2",
    shape=(784,),
    network=stack((512, 512, 10), normalized=True, dropout=0.2),
    update=Update("adam", 1e-3),
    batch=128,
    bar=2.1,
    aim=2.6,
)
