"""`chainrule train mnist --hidden 300 --activation sigmoid`: the curve and the time, beside published results.

    python benchmarks/mnist.py                # half a minute; writes benchmarks/mnist-native.json and .md
    python benchmarks/mnist.py reference      # a few minutes; the same on the reference engine
    python benchmarks/mnist.py --again        # writes the page anew from the .json

The test set is measured once, after the last epoch; the curve is that of the 6,000 training digits held out.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr

HERE = Path(__file__).resolve().parent
ARGUMENTS = ["train", "mnist", "--hidden", "300", "--activation", "sigmoid"]
#: One thread: at these sizes a second one gains little, and on a busy machine two wait for each other.
THREADS = {"OPENBLAS_NUM_THREADS": "1"}
BAR = 0.975
PUBLISHED = (
    ("300 hidden units, mean squared error", 4.7, "LeCun, Bottou, Bengio, Haffner 1998"),
    ("300 hidden units, with distorted digits added", 3.6, "LeCun, Bottou, Bengio, Haffner 1998"),
    ("500 + 150 hidden units", 2.95, "LeCun, Bottou, Bengio, Haffner 1998"),
    ("800 hidden units, cross-entropy", 1.6, "Simard, Steinkraus, Platt 2003"),
)


def measure(engine: str) -> dict[str, Any]:
    """Train by the command, and read the run that it leaves."""
    setting = {**THREADS, "CHAINRULE_ENGINE": engine}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "run")
        start = time.perf_counter()
        command = [sys.executable, "-m", "chainrule", *ARGUMENTS, "--output", str(output)]
        subprocess.run(command, check=True, env={**os.environ, **setting}, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        run = cr.load(output)
        test = cr.data.load("mnist")[1]
        found = run.evaluate(test)
    names = ("epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "seconds")
    return {
        "command": " ".join([*(f"{name}={value}" for name, value in setting.items()), "chainrule", *ARGUMENTS]),
        "engine": engine,
        "epochs": [{name: round(record[name], 6) for name in names} for record in run.history.epochs],
        "seconds": round(seconds, 1),
        "test": {"samples": len(test), "loss": round(found["loss"], 6), "accuracy": round(found["accuracy"], 6)},
        "made_with": {
            "chainrule": cr.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        },
    }


def page(found: dict[str, Any]) -> str:
    """The measurement as a page of Markdown."""
    error = 100 * (1 - found["test"]["accuracy"])
    made, engine = found["made_with"], found["engine"]
    lines = [
        "# MNIST, 300 hidden units",
        "",
        "```sh",
        found["command"],
        "```",
        "",
        f"**{100 - error:.2f} % of the 10,000 test digits** (error {error:.2f} %) after {len(found['epochs'])} epochs,",
        f"in {found['seconds']:,.0f} s with start, saving and measuring, on the {engine} engine.",
        "",
        "784-300-10, sigmoid units; the rest are the defaults of the command: cross-entropy, batches of 32, gradient",
        "descent with learning rate 0.1 and momentum 0.9. Of the 60,000 training digits, 6,000 were held out to watch",
        "by; the test digits were measured once, at the end.",
        "",
        f"chainrule {made['chainrule']}, NumPy {made['numpy']}, Python {made['python']}, {made['machine']}. "
        f"Again: `python benchmarks/mnist.py {engine}`",
        "",
        "| network | test error | |",
        "|---|---|---|",
        *(f"| {name} | {rate:.2f} % | {source} |" for name, rate, source in PUBLISHED),
        f"| 300 hidden units, cross-entropy | **{error:.2f} %** | this page |",
        "",
        "| epoch | loss | accuracy | validation loss | validation accuracy | seconds |",
        "|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row['epoch']} | {row['loss']:.4f} | {row['accuracy']:.2%} | {row['validation_loss']:.4f} | "
            f"{row['validation_accuracy']:.2%} | {row['seconds']:.1f} |"
            for row in found["epochs"]
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    engine = "reference" if "reference" in sys.argv[1:] else "native"
    kept = HERE / f"mnist-{engine}.json"
    if "--again" in sys.argv[1:]:
        found = json.loads(kept.read_text())
    else:
        found = measure(engine)
        kept.write_text(json.dumps(found, indent=1) + "\n")
    kept.with_suffix(".md").write_text(page(found))
    accuracy = found["test"]["accuracy"]
    print(f"{accuracy:.2%} of the test digits in {found['seconds']:,.0f} s (bar: {BAR:.1%})")
    if accuracy < BAR:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
