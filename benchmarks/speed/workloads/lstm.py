"""Digits row by row through long short-term memory; what is there after the last row tells the class."""

from __future__ import annotations

from benchmarks.speed.network import LSTM, Dense
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "lstm",
    "28 steps of 28: LSTM 128, the last state, dense 10",
    shape=(28, 28),
    network=(LSTM(128), Dense(10)),
    update=Update("adam", 1e-3),
    batch=128,
    bar=1.4,
    aim=1.7,
)
