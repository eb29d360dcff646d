"""The usual batch."""

from __future__ import annotations

from benchmarks.speed.network import stack
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "mlp-32",
    "784-300-10 relu",
    shape=(784,),
    network=stack((300, 10)),
    update=Update("momentum", 0.05),
    batch=32,
    bar=2.2,
    aim=2.6,
)
