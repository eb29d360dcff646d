"""A network so small that a step is mostly what surrounds it."""

from __future__ import annotations

from benchmarks.speed.network import stack
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "tiny",
    "20-32-32-2 relu",
    shape=(20,),
    network=stack((32, 32, 2)),
    update=Update("adam", 1e-3),
    batch=32,
    data="points",
    bar=12.0,
    aim=20.0,
)
