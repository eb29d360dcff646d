"""How long `import chainrule` takes beyond NumPy's own import, and how large the base install is.

    python benchmarks/footprint.py

The times are medians of fresh processes, with bytecode compiled before. The size is that of the wheel and its
dependencies installed into an empty folder, as pip installs them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 15
CODE = """
import time
start = time.perf_counter(); import numpy
middle = time.perf_counter(); import chainrule
print(middle - start, time.perf_counter() - middle)
"""


def import_times() -> tuple[float, float]:
    """The median seconds of importing NumPy, and of importing chainrule after it."""
    rows = []
    for _ in range(RUNS + 1):
        printed = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
        rows.append([float(word) for word in printed.split()])
    numpy, own = zip(*rows[1:], strict=True)  # the first run may compile bytecode
    return statistics.median(numpy), statistics.median(own)


def install_sizes() -> dict[str, float]:
    """Megabytes by top-level package, for the base install."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "--no-compile", str(ROOT)]
        subprocess.run(command, check=True)
        sizes: dict[str, float] = {}
        for entry in Path(folder).iterdir():
            files = [entry] if entry.is_file() else [file for file in entry.rglob("*") if file.is_file()]
            sizes[entry.name] = sum(file.stat().st_size for file in files) / 1e6
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def main() -> None:
    numpy, own = import_times()
    print(f"import numpy      {numpy:.3f} s")
    print(f"import chainrule  {own:.3f} s beyond NumPy (bar: 0.15 s)")
    sizes = install_sizes()
    print(f"base install      {sum(sizes.values()):.1f} MB without bytecode; the largest parts:")
    for name, size in list(sizes.items())[:8]:
        print(f"  {size:7.2f} MB  {name}")


if __name__ == "__main__":
    main()
