"""Make curves.npz: the loss of each step of a training in PyTorch, for each optimizer that both have.

    golden/bin/python tests/golden/make_curves.py        # the environment of make_golden.py, with chainrule

The pairs of settings are those of benchmarks/curves.py, on a smaller course: 64-12-10 with ReLU on 300 of the built-in
digits, 4 epochs of batches of 32, the last of 12 (Rprop: all at once, 20 steps). ``weights/PATH`` are the first weights
and ``order`` (epochs×300) the samples' order, the same for all; ``NAME/float64`` and ``NAME/float32`` the losses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.curves import PAIRS, Pair, prepared, start, theirs

HIDDEN, BATCH = 12, 32


def epochs_of(pair: Pair) -> int:
    return 20 if pair.whole else 4


def digits(dtype: str) -> cr.data.Dataset:
    return prepared(cr.data.load("digits")[0].subset(np.arange(300)), dtype)


def main() -> None:
    arrays: dict[str, Any] = {}
    for name, pair in PAIRS.items():
        for dtype in ("float64", "float32"):
            _, taken = start(pair, digits(dtype), HIDDEN, BATCH, epochs_of(pair))
            arrays[f"{name}/{dtype}"] = theirs(pair, taken)[0].astype(dtype)
            if dtype == "float64" and not pair.whole:
                arrays |= {f"weights/{path}": weight for path, weight in taken.weights.items()}
                arrays["order"] = np.array(taken.orders)
    np.savez_compressed(Path(__file__).parent / "curves.npz", **arrays)


if __name__ == "__main__":
    main()
