"""Time to 99 % of MNIST's test digits: the same network, weights, batches and settings here and in PyTorch.

    make race                       # some minutes; writes benchmarks/mnist-race.json and .md
    make race PICTURE=race.png      # and draws the loss curves on top of each other

`simple_cnn` (421,642 parameters), Adam with a rate of 0.001, batches of 64, two threads each, one after the other.
PyTorch runs in both memory layouts. Every half epoch the test digits are measured, with the clock stopped, until 99 %
of them are right. PyTorch has made a step before, aside, which is when it prepares its kernels, and runs as it is,
without `torch.compile`. Ours runs twice: from an empty cache, with all the compiling on its clock, and then as any
later training on the same machine does, which finds the programs compiled.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from benchmarks.courses import (
    TOGETHER,
    apart,
    curve,
    curves_table,
    draw_beside,
    keep,
    machine,
    made,
    options_of,
    publish,
    table,
    told_of,
)
from chainrule.data.batches import batches, epoch_order

Array = NDArray[Any]
KEPT = Path(__file__).resolve().parent / "mnist-race.json"
BATCH, RATE, SEED, THREADS = 64, 0.001, 0, 2
GOAL, MOST_EPOCHS, PARTS = 0.99, 8, 2
#: The means of the curve that the page shows.
CURVE = (0, 1, 3, 7, 15, 31, 47, 63, 79)
#: Our time at most, by that of the faster peer.
BAR = 2 / 3
OURS, FROM_NOTHING = "chainrule", "chainrule, from an empty cache"
PEERS = "PyTorch, channels last", "PyTorch, its default layout"


@dataclass
class Course:
    """One way to the goal: the loss of each step; seconds and accuracy at each measurement."""

    losses: Array
    seconds: list[float]
    accuracies: list[float]


def cuts(samples: int, epochs: int) -> list[int]:
    """The steps after which the test digits are measured."""
    each = cr.schedules.steps_per_epoch(range(samples), BATCH)
    return [each * part // PARTS for part in range(1, PARTS * epochs + 1)]


def prepared(data: cr.data.Dataset) -> cr.Run:
    """Our run, before its first step."""
    return cr.prepare(
        cr.models.simple_cnn(), data, optimizer=cr.optimizers.Adam(RATE), batch_size=BATCH, seed=SEED
    )  # fmt: skip


def ours(data: cr.data.Dataset, test: cr.data.Dataset, goal: float, epochs: int) -> Course:
    """Train here."""
    start = time.perf_counter()
    run = prepared(data)
    clock = time.perf_counter() - start
    seconds, accuracies = [], []
    for cut in cuts(len(data), epochs):
        start = time.perf_counter()
        run.fit(data, epochs=epochs, steps=cut, progress=False)
        clock += time.perf_counter() - start
        seconds.append(clock)
        accuracies.append(run.evaluate(test)["accuracy"])
        if accuracies[-1] >= goal:
            break
    return Course(np.asarray(run.history.steps["loss"], np.float64), seconds, accuracies)


def network(weights: Mapping[str, Array], layout: str) -> Any:
    """The same network in PyTorch, with our first weights."""
    import torch
    from torch import nn

    class ChannelsLast(nn.Module):  # type: ignore[misc]
        """Flattens in the order in which the numbers lie, so that nothing is copied."""

        def forward(self, images: Any) -> Any:
            return images.permute(0, 2, 3, 1).flatten(1)

    last = layout == PEERS[0]
    found = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        ChannelsLast() if last else nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    arrays = list(weights.values())
    arrays[0], arrays[2] = (arrays[place].transpose(3, 2, 0, 1) for place in (0, 2))
    if not last:  # (7·7·64, 128): channels come first there
        arrays[4] = arrays[4].reshape(7, 7, 64, 128).transpose(2, 0, 1, 3).reshape(3136, 128)
    arrays[4], arrays[6] = arrays[4].T, arrays[6].T
    with torch.no_grad():
        for parameter, array in zip(found.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return found.to(memory_format=torch.channels_last) if last else found


def theirs(
    layout: str, weights: Mapping[str, Array], data: cr.data.Dataset, test: cr.data.Dataset, goal: float, epochs: int
) -> Course:
    """Train in PyTorch, on the same samples in the same order."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(THREADS)
    form = torch.channels_last if layout == PEERS[0] else torch.contiguous_format

    def tensors(part: cr.data.Dataset) -> tuple[Any, Any]:
        shift, scale = (np.asarray(one, np.float32) for one in (part.preparation.shift, part.preparation.scale))
        images = np.multiply(np.subtract(part.inputs, shift), scale)
        assert part.labels is not None
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=form), torch.tensor(
            part.labels
        ).long()

    (inputs, labels), (seen, right) = tensors(data), tensors(test)
    # What PyTorch imports and prepares at its first step is not counted.
    trial = network(weights, layout)
    aside = torch.optim.Adam(trial.parameters(), lr=RATE)
    cross_entropy(trial(inputs[:BATCH]), labels[:BATCH]).backward()
    aside.step()
    start = time.perf_counter()
    model = network(weights, layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    clock = time.perf_counter() - start
    losses: list[Any] = []
    found = Course(np.zeros(0), [], [])
    indices = (
        torch.from_numpy(np.asarray(chosen)).long()
        for epoch in range(epochs)
        for full, last in [batches(epoch_order(SEED, epoch, len(data)), BATCH)]
        for chosen in (*full, *([last] if len(last) else []))
    )
    for cut in cuts(len(data), epochs):
        start = time.perf_counter()
        while len(losses) < cut:
            chosen = next(indices)
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs[chosen].contiguous(memory_format=form)), labels[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        clock += time.perf_counter() - start
        found.seconds.append(clock)
        with torch.no_grad():
            outputs = torch.cat([model(part.contiguous(memory_format=form)) for part in seen.split(1000)])
        found.accuracies.append(float((outputs.argmax(1) == right).float().mean()))
        if found.accuracies[-1] >= goal:
            break
    found.losses = np.array([float(loss) for loss in losses])
    return found


def race(
    data: cr.data.Dataset, test: cr.data.Dataset, goal: float = GOAL, epochs: int = MOST_EPOCHS
) -> dict[str, Course]:
    """All of them, one after the other."""
    found = {FROM_NOTHING: ours(data, test, goal, epochs)}
    found[OURS] = ours(data, test, goal, epochs)
    weights = prepared(data).parameters
    for layout in PEERS:
        found[layout] = theirs(layout, weights, data, test, goal, epochs)
    return found


def record(found: Mapping[str, Course]) -> dict[str, Any]:
    """What is kept: the measurements, and how far the curves are apart."""
    rows = {
        name: {
            "seconds": [round(number, 2) for number in course.seconds],
            "accuracies": [round(number, 4) for number in course.accuracies],
            "apart": [float(f"{number:.2g}") for number in apart(course.losses, found[OURS].losses)],
            "curve": curve(course.losses),
        }
        for name, course in found.items()
    }
    first = hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER
    before = ", in use by others, before whom the race went (`chrt -f 50`)" if first else ""
    return {"rows": rows, "before": before, "machine": machine(), "made": made()}


def reached(row: Mapping[str, Any]) -> float | None:
    """Seconds until the goal, if it was reached."""
    pairs = zip(row["accuracies"], row["seconds"], strict=True)
    return next((seconds for accuracy, seconds in pairs if accuracy >= GOAL), None)


def page(kept: Mapping[str, Any]) -> str:
    """The measurement as a page of Markdown."""
    rows = kept["rows"]
    times = {name: reached(row) for name, row in rows.items()}
    peers = [taken for name in PEERS if (taken := times[name]) is not None]
    own, first = times[OURS], times.get(FROM_NOTHING)
    verdict = "**The goal was not reached by both.**"
    if own is not None and peers:
        verdict = f"**Ours takes {own / min(peers):.2f} of the faster peer's time**; the bar is {BAR:.2f}."
        if first is not None:
            verdict += f" With the compiling in it, from an empty cache, it is {first / min(peers):.2f}."
    most = max(len(row["seconds"]) for row in rows.values())
    results = [
        [
            name,
            f"{taken:.1f}" if (taken := times[name]) is not None else "not reached",
            f"{len(row['seconds']) / PARTS:g}",
            f"{row['accuracies'][-1]:.2%}",
            *(f"{far:.1e}" for far in row["apart"]),
        ]
        for name, row in rows.items()
    ]
    columns = (
        "seconds to 99 %", "epochs", "accuracy then", "apart from ours: a loss, 100 steps", "means of 100, all steps",
    )  # fmt: skip
    course = []
    for place in range(most):
        cells = [
            f"{row['accuracies'][place]:.2%}, {row['seconds'][place]:.1f} s" if place < len(row["seconds"]) else ""
            for row in rows.values()
        ]
        course.append([f"{(place + 1) / PARTS:g}", *cells])
    return f"""# Time to 99 % of MNIST

Written by `make race`. `simple_cnn`, Adam with a rate of {RATE:g}, batches of {BATCH}, {THREADS} threads; the same
first weights, the same samples in the same order. Every half epoch the test digits are measured, with the clock
stopped, until 99 % of them are right. PyTorch has made a step before, aside, which is when it prepares its kernels.
Ours runs twice: from an empty cache, with all the compiling on its clock, and then as any later training on the
machine, which finds its programs compiled.

{verdict}

{table(columns, results)}

Apart: the largest difference of a loss in the first 100 steps, and of the means of 100 steps over all of them.

Test digits that are right, and seconds:

{table(rows, course, "epochs", words=False)}

The loss, a mean of {TOGETHER} steps that end at:

{curves_table(rows, CURVE, 4, first="step")}

In float32 two programs that order their sums in their own way part a little with each step. What is left of that when
nothing is rounded is in [the curves](curves.md): 1e-15 in float64, there of dense networks.

{told_of(kept, kept["before"])}
"""


def draw(rows: Mapping[str, Any], path: str) -> Path:
    """The loss curves on top of each other, and the accuracy by the clock."""
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(11, 4)
    left, right = drawn.subplots(1, 2)
    looks = {PEERS[0]: ("tab:orange", 4.0), PEERS[1]: ("tab:blue", 2.0), OURS: ("black", 0.8)}
    draw_beside(left, right, rows, looks, lambda row: (row["seconds"], [100 * one for one in row["accuracies"]]))
    left.set(xlabel="step", ylabel=f"loss, mean of {TOGETHER} steps", yscale="log")
    right.axhline(100 * GOAL, color="grey", linewidth=0.7)
    right.set(xlabel="seconds", ylabel="test digits that are right, %", xlim=(0, None))
    return save_picture(drawn, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Race, and write the page."""
    options = options_of(__doc__, arguments)
    if not options.again:
        with tempfile.TemporaryDirectory() as empty:
            os.environ |= {"CHAINRULE_CACHE": empty, "CHAINRULE_THREADS": str(THREADS)}
            found = race(*cr.data.load("mnist", images=True))
        keep(KEPT, record(found))
    kept = publish(KEPT, page)
    for name, row in kept["rows"].items():
        print(f"{name:30}{reached(row)} s to {GOAL:.0%}, curve apart {row['apart']}")
    if options.picture:
        print("wrote", draw(kept["rows"], options.picture))
    times = {name: reached(row) for name, row in kept["rows"].items()}
    peers = [taken for name in PEERS if (taken := times[name]) is not None]
    own = times[OURS]
    if own is None or (peers and own > BAR * min(peers)):
        raise SystemExit("the bar is not met")


if __name__ == "__main__":
    main()
