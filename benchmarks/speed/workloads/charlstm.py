"""A language model on characters by long short-term memory."""

from __future__ import annotations

from benchmarks.speed.data import LENGTH, SYMBOLS
from benchmarks.speed.network import LSTM, Dense, Embedding
from benchmarks.speed.workload import Update, Workload

WORKLOAD = Workload(
    "charlstm",
    "64 steps of 65 symbols: embedding 64, LSTM 256, dense 65 at each step",
    shape=(LENGTH,),
    network=(Embedding(SYMBOLS, 64), LSTM(256, each=True), Dense(SYMBOLS)),
    update=Update("adam", 1e-3),
    batch=32,
    data="text",
    bar=1.2,
    aim=1.4,
)
