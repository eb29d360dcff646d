"""The accuracy of `chainrule train digits` on its fixed, stratified test split: five seeds and their median.

python benchmarks/digits.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import chainrule as cr

TRAIN = [sys.executable, "-m", "chainrule", "train", "digits", "--quiet"]


def main() -> None:
    _, test = cr.data.load("digits")
    accuracies = []
    for seed in range(5):
        with tempfile.TemporaryDirectory() as folder:
            run = str(Path(folder, "run"))
            start = time.perf_counter()
            subprocess.run([*TRAIN, "--seed", str(seed), "--output", run], check=True, capture_output=True)
            seconds = time.perf_counter() - start
            accuracies.append(cr.load(run).evaluate(test)["accuracy"])
        print(f"seed {seed}: {accuracies[-1]:.2%} of the test digits, {seconds:.1f} s with start and saving")
    print(f"median of five seeds: {statistics.median(accuracies):.2%} (bar: 97 %)")


if __name__ == "__main__":
    main()
