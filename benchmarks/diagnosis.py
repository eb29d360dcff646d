"""What watching a training costs: the callback `Diagnose` at its default interval, beside the same training without.

    python benchmarks/diagnosis.py [pairs] [seconds]

Two runs of one network take turns, one watched and one not, each for some seconds; the share is by how much longer a
step of the watched one takes, the median over the pairs: by a clock on the wall, and by processor time. Where programs
beside this one disturb both, `chrt -f 50` before the command gives it the cores. A look by itself is told too: how long
it takes, and how often it comes. The networks: that of the row mlp-128 (784-300-10, momentum, batch 128) and that of
tiny (20-32-32-2, Adam, batch 32), on noise, since it is the time that is measured.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.data import Dataset
from chainrule.explain.health import Diagnose
from chainrule.keys import Key
from chainrule.run import Run

BAR = 0.10


class Clock(cr.Callback):
    """From the first call into the engine to the last: seconds and steps, without what comes before and after."""

    def on_start(self, training: Any) -> None:
        """Begin anew."""
        self.start, self.first = (0.0, 0.0), 0

    def on_rest(self, training: Any) -> None:
        """Note the time and the steps after each call."""
        self.end, self.last = (time.perf_counter(), time.process_time()), len(training.history)
        if not self.first:  # the first call, whose step is one, is left out
            self.start, self.first = self.end, self.last

    def on_end(self, training: Any) -> None:
        """What a step took."""
        steps = max(self.last - self.first, 1)
        self.taken = [(end - start) / steps for start, end in zip(self.start, self.end, strict=True)]


def noise(samples: int, inputs: int, classes: int) -> Dataset:
    """Samples without meaning."""
    key = Key(0)
    labels = key.child("labels").bits(samples) % classes
    return cr.data.from_arrays(
        key.child("inputs").normal((samples, inputs)).astype(np.float32), labels.astype(np.int32)
    )


def networks() -> dict[str, tuple[Run, Run, Dataset]]:
    """Each network twice, with its data."""
    found = {}
    for name, widths, optimizer, size, samples in (
        ("mlp-128", (784, 300, 10), cr.optimizers.SGD(0.01, momentum=0.9), 128, 20_000),
        ("tiny", (20, 32, 32, 2), cr.optimizers.Adam(1e-3), 32, 20_000),
    ):
        data = noise(samples, widths[0], widths[-1])
        model = cr.Chain(*(cr.Dense(units, cr.relu) for units in widths[1:-1]), cr.Dense(widths[-1]))
        pair = [cr.prepare(model, data, optimizer=optimizer, batch_size=size) for _ in range(2)]
        found[name] = (pair[0], pair[1], data)
    return found


def main(pairs: int = 15, seconds: float = 1.0) -> None:
    """Measure each network, and print a row for it."""
    print(f"{'':10}{'step':>10}{'a look':>10}{'looks a second':>16}{'share':>9}{'quartiles':>18}{'of processor':>14}")
    for name, (alone, watched, data) in networks().items():
        watch, clock = Diagnose(data), Clock()
        plain: list[cr.Callback] = [clock]
        both: list[cr.Callback] = [watch, clock]
        shares: list[list[float]] = []
        steps: list[float] = []
        looks, taken = 0, 0.0
        for pair in range(-1, pairs):  # one pair to warm up
            times: dict[bool, list[float]] = {}
            for run, callbacks in [(alone, plain), (watched, both)][:: 1 if pair % 2 else -1]:
                before = len(watch.records)
                time.sleep(seconds / 5)  # a process with a real-time priority (chrt -f) is paused if it never rests
                run.fit(data, seconds=seconds, callbacks=callbacks, progress=False)
                times[run is watched] = clock.taken
                looks, taken = looks + len(watch.records) - before, taken + seconds * (run is watched)
            if pair >= 0:
                shares.append([one / other - 1 for one, other in zip(times[True], times[False], strict=True)])
                steps.append(times[False][0])
        low, middle, high = statistics.quantiles([share for share, _ in shares], n=4)
        processor = statistics.median(share for _, share in shares)
        verdict = "" if middle <= BAR else "  above the bar"
        print(
            f"{name:10}{statistics.median(steps) * 1e6:7.1f} µs{watch.took * 1e6:7.0f} µs{looks / taken:16.1f}"
            f"{middle:9.1%}{f'{low:.1%} to {high:.1%}':>18}{processor:14.1%}{verdict}",
            flush=True,
        )


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*([int(given[0])] if given else []), *([float(given[1])] if len(given) > 1 else []))
