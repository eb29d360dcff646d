"""Digits row by row through gated recurrent units; what is there after the last row tells the class."""

from __future__ import annotations

from benchmarks.speed.network import GRU, Dense
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "gru",
    "28 steps of 28: GRU 128, the last state, dense 10",
    shape=(28, 28),
    network=(GRU(128), Dense(10)),
    update=Update("adam", 1e-3),
    batch=128,
    bar=1.8,
    aim=2.2,
)
