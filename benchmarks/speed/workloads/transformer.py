"""A language model on characters by attention: four blocks, normalized first."""

from __future__ import annotations

from benchmarks.speed.data import LENGTH, SYMBOLS
from benchmarks.speed.network import Dense, Embedding, Normalization, Positions, transformer_block
from benchmarks.speed.workload import Update, Workload

WIDTH = 128
WORKLOAD = Workload(
    "transformer",
    "64 of 65 symbols: transformer of 4 layers, width 128, 4 heads, 4 times as wide within, gelu by tanh, normed first",
    shape=(LENGTH,),
    network=(
        *(Embedding(SYMBOLS, WIDTH), Positions(LENGTH)),
        *(transformer_block(WIDTH, heads=4) * 4),
        *(Normalization("features"), Dense(SYMBOLS)),
    ),
    update=Update("adam", 1e-3),
    batch=16,
    data="text",
    bar=1.6,
    aim=2.0,
)
