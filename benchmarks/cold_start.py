"""From the start of a process to the end of its first training step, native engine: nothing compiled, and all on disk.

python benchmarks/cold_start.py [--times 5] [--only transformer] [--imports]

A two-layer network by `chainrule.fit` on the digits; a residual network of 20 layers and a transformer of 4, written
with ops (`benchmarks/networks.py`). ``--imports`` says which modules take longest to import.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Seconds: with nothing compiled, and with everything compiled.
BARS = {"two layers": (1.0, 0.4), "residual": (8.0, 1.0), "transformer": (6.0, 1.0)}
_CLOCK = time.CLOCK_MONOTONIC


def child(name: str) -> None:
    """What is measured: prints when its first step ended, by the clock that all processes share."""
    if name == "two layers":
        import chainrule as cr

        train, _ = cr.data.load("digits")
        model = cr.Chain(cr.Dense(64, cr.relu), cr.Dense(10))
        run = cr.prepare(model, train, engine="native")

        class Once(cr.Callback):
            def on_steps(self, training: object, records: list[dict[str, object]]) -> None:
                print(time.clock_gettime(_CLOCK), flush=True)
                os._exit(0)

        run.fit(train, epochs=1, callbacks=[Once()], progress=False)
    else:
        from benchmarks.networks import STEPS
        from chainrule.engines.native import NativeEngine

        graph, arrays = STEPS[name]()
        given = {key: array for key, array in arrays.items() if key in graph.inputs}
        assert NativeEngine().compile(graph).run(given)["loss"] > 0
        print(time.clock_gettime(_CLOCK), flush=True)
        os._exit(0)


def measure(name: str, cache: str, options: tuple[str, ...] = ()) -> tuple[float, str]:
    """Seconds of one process, and what it wrote beside."""
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root / "src"), str(root), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "CHAINRULE_CACHE": cache, "PYTHONPATH": path}
    command = [sys.executable, *options, __file__, "--child", name]
    start = time.clock_gettime(_CLOCK)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]) - start, done.stderr


def tell_imports(name: str) -> None:
    """The modules that take longest to import."""
    with tempfile.TemporaryDirectory() as folder:
        _, imports = measure(name, folder, ("-X", "importtime"))
    rows = [line.split("|") for line in imports.splitlines() if line.startswith("import time:") and "[us]" not in line]
    for own, total, module in sorted(rows, key=lambda row: -int(row[0].split(":")[1]))[:15]:
        print(f"{int(own.split(':')[1]) / 1e3:8.1f} ms of its own {int(total) / 1e3:8.1f} in all  {module.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", choices=tuple(BARS), default="")
    parser.add_argument("--imports", action="store_true")
    parser.add_argument("--child", choices=tuple(BARS), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.child:
        child(settings.child)
    for name in (settings.only,) if settings.only else tuple(BARS):
        if settings.imports:
            tell_imports(name)
        cold, warm = [], []
        for _ in range(settings.times):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(measure(name, folder)[0])
                warm.append(measure(name, folder)[0])
        for what, seconds, bar in zip(("nothing compiled", "all compiled"), (cold, warm), BARS[name], strict=True):
            spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
            print(f"{name:12} {what:17} {statistics.median(seconds):5.2f} s ({spread}), bar {bar:.1f} s", flush=True)


if __name__ == "__main__":
    main()
