"""Batch normalization, dropout and Adam around larger products."""

from __future__ import annotations

from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "mlp-bn",
    sizes=(784, 512, 512, 10),
    update=Update("adam", 1e-3),
    batch=128,
    normalized=True,
    dropout=0.2,
    bar=2.1,
    aim=2.6,
)
