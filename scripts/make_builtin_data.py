"""Make the data sets in src/chainrule/data/builtin from scikit-learn's: python scripts/make_builtin_data.py [FOLDER].

The bytes depend on the versions of NumPy and zlib; the arrays and rows do not, and a test compares those.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_iris

BUILTIN = Path(__file__).parents[1] / "src" / "chainrule" / "data" / "builtin"
IRIS_COLUMNS = ("sepal_length", "sepal_width", "petal_length", "petal_width", "species")


def make_digits(folder: Path) -> None:
    """Write digits.npz: inputs (1797, 64) and targets (1797,), uint8."""
    inputs, targets = load_digits(return_X_y=True)
    np.savez_compressed(folder / "digits.npz", inputs=inputs.astype(np.uint8), targets=targets.astype(np.uint8))


def make_iris(folder: Path) -> None:
    """Write iris.csv: four lengths in centimetres, and the species."""
    bunch = load_iris()
    with (folder / "iris.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(IRIS_COLUMNS)
        for lengths, label in zip(bunch.data.tolist(), bunch.target.tolist(), strict=True):
            writer.writerow([*lengths, str(bunch.target_names[label])])


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILTIN
    chosen.mkdir(parents=True, exist_ok=True)
    make_digits(chosen)
    make_iris(chosen)
