"""A language model of characters here and in PyTorch: bits a character on held-out text, and the loss of each step.

    make language                       # some 25 minutes; writes benchmarks/shakespeare.json and .md
    make language PICTURE=curves.png    # and draws the curves on top of each other

The networks `charlstm` and `transformer` of the speed benchmark, on tinyshakespeare in windows of 64, its last tenth
held out. Both libraries begin with the same weights and take the same windows in the same order: Adam, the global norm
clipped to 1, the rate going to 0 by a cosine. Each library measures the held-out text by its own forward pass.

In float32 a curve parts from another as soon as a sum is taken in another order, so PyTorch also trains once more, with
the windows of each batch in reverse: the same mathematics, rounded otherwise. That says how far apart is near.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from benchmarks import courses
from benchmarks.courses import (
    TOGETHER,
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
from benchmarks.speed.data import LENGTH, SYMBOLS
from benchmarks.speed.peers import chainrule_peer
from benchmarks.speed.workload import Given, Update, Workload, batches, first_parameters
from benchmarks.speed.workloads import WORKLOADS

Array = NDArray[Any]
KEPT = Path(__file__).resolve().parent / "shakespeare.json"
STEPS, THREADS = 2500, 1
#: Steps after which the held-out text is measured.
CUTS = (100, 250, 500, 1000, 1750, STEPS)
#: The rates of the example that trains these networks (examples/shakespeare.py).
RATES = {"charlstm": 0.003, "transformer": 0.001}
#: The means of the curve that the page shows.
CURVE = (0, 1, 3, 7, 15, 23, 35, 49)
OURS, THEIRS, AGAIN = "chainrule", "PyTorch", "PyTorch, each batch in reverse"
#: At most so far apart: a loss of the first hundred steps, by the largest of them, and bits held out at the end.
BARS = (0.002, 0.02)
LINES = "\n"


@dataclass
class Course:
    """One training: the loss of each step in nats, held-out bits a character at each cut, processor seconds in all."""

    losses: Array
    bits: list[float]
    seconds: float = 0.0


@dataclass(frozen=True)
class Text:
    """Windows of a text and the symbol after each position, to learn from and held out."""

    inputs: Array
    targets: Array
    others: Array
    theirs: Array
    preparation: cr.data.Preparation


def text_of(train: cr.data.Dataset, test: cr.data.Dataset) -> Text:
    """The windows of both parts; without the last, where some positions are not asked for."""
    found: list[Array] = []
    for part in (train, test):
        asked = np.asarray(part.targets)
        whole = (asked >= 0).all(1)
        found += [np.asarray(part.inputs)[whole], asked[whole]]
    inputs, targets, others, theirs = found
    return Text(inputs, targets, others, theirs, train.preparation)


def workload_of(name: str, steps: int) -> Workload:
    """The network, updated for so many steps as it is here."""
    return replace(WORKLOADS[name], update=Update("adam", RATES[name], clip=1.0, cosine=steps))


def in_parts(
    cuts: Sequence[int], order: Array, train: Callable[[Array], Iterable[Any]], measure: Callable[[], float]
) -> Course:
    """Train from cut to cut, the held-out text measured at each with the clock stopped."""
    losses, found = list[float](), Course(np.zeros(0), [])
    for first, last in itertools.pairwise((0, *cuts)):
        start = time.process_time()
        losses += map(float, train(order[first:last]))
        found.seconds += time.process_time() - start
        found.bits.append(measure() / math.log(2))
    found.losses = np.array(losses)
    return found


def ours(given: Given, order: Array, text: Text, cuts: Sequence[int]) -> Course:
    """Train here."""
    runner = chainrule_peer.Runner(given)
    held_out = cr.data.Dataset(text.others, text.theirs, preparation=text.preparation)
    model = chainrule_peer.model_of(given.workload)
    measured = cr.prepare(model, held_out, batch_size=given.workload.batch, loss=cr.losses.SequenceCrossEntropy())

    def measure() -> float:
        runner.run_of.arrays = dict(runner.state)
        measured.set_parameters(dict(zip(measured.parameters, runner.run_of.parameters.values(), strict=True)))
        return measured.evaluate(held_out)["loss"]

    return in_parts(cuts, order, runner.run, measure)


def theirs(given: Given, order: Array, text: Text, cuts: Sequence[int]) -> Course:
    """Train in PyTorch."""
    import torch
    from torch.nn.functional import cross_entropy

    from benchmarks.speed.peers import pytorch_peer

    runner = pytorch_peer.Runner(given, threads=THREADS)
    others, asked = torch.from_numpy(text.others), torch.from_numpy(text.theirs).long()

    def measure() -> float:
        runner.model.eval()
        with torch.no_grad():
            parts = [
                float(cross_entropy(runner.model(inputs).flatten(0, -2), targets.flatten(), reduction="sum"))
                for inputs, targets in zip(others.split(64), asked.split(64), strict=True)
            ]
        runner.model.train()
        return sum(parts) / text.theirs.size

    return in_parts(cuts, order, lambda part: runner.run(runner.order(part)), measure)


def compared(workload: Workload, text: Text, cuts: Sequence[int]) -> dict[str, Course]:
    """A network in all three trainings, one after the other."""
    given = Given(workload, text.inputs, text.targets, first_parameters(workload))
    order = batches(workload, len(text.inputs), cuts[-1])
    found = {OURS: ours(given, order, text, cuts), THEIRS: theirs(given, order, text, cuts)}
    return found | {AGAIN: theirs(given, np.ascontiguousarray(order[:, ::-1]), text, cuts)}


def apart(one: Course, other: Course) -> dict[str, float]:
    """How far two trainings are apart: a loss of the first hundred steps by the largest of them, the means of a hundred
    steps over all of them, and the bits held out, at any cut and at the last.
    """
    first, means = courses.apart(one.losses, other.losses)
    bits = np.abs(np.subtract(one.bits, other.bits))
    relative = first / float(one.losses[:100].max())
    return {"first": relative, "means": means, "bits": float(bits.max()), "last": float(bits[-1])}


def record(found: Mapping[str, Mapping[str, Course]], cuts: Sequence[int]) -> dict[str, Any]:
    """What is kept of all networks."""
    networks = {
        name: {
            "cuts": list(cuts),
            "rows": {
                who: {
                    "bits": [round(number, 4) for number in course.bits],
                    "seconds": round(course.seconds, 1),
                    "curve": curve(course.losses),
                }
                for who, course in trainings.items()
            },
            "apart": {
                who: {kind: float(f"{number:.2g}") for kind, number in apart(course, trainings[THEIRS]).items()}
                for who, course in trainings.items()
                if who != THEIRS
            },
        }
        for name, trainings in found.items()
    }
    return {"networks": networks, "machine": f"{machine()}, others at work on them too", "made": made()}


def missed(kept: Mapping[str, Any]) -> list[str]:
    """What is farther apart than the bars, in words."""
    return [
        f"{name}: {kind} {network['apart'][OURS][kind]:g}, and {bar:g} is the bar"
        for name, network in kept["networks"].items()
        for kind, bar in zip(("first", "last"), BARS, strict=True)
        if network["apart"][OURS][kind] > bar
    ]


def section(name: str, network: Mapping[str, Any]) -> str:
    """What was measured of a network, as a part of the page."""
    rows, cuts, workload = network["rows"], network["cuts"], WORKLOADS[name]
    at_cuts = [[who, *(f"{one:.3f}" for one in row["bits"])] for who, row in rows.items()]
    kinds = {
        "first": "a loss, first 100 steps, by the largest",
        "means": "means of 100 steps, in nats",
        "bits": "bits held out, any",
        "last": "the last",
    }
    away = [[who, *(f"{far[kind]:.1e}" for kind in kinds)] for who, far in network["apart"].items()]
    count = sum(math.prod(p.shape) for p in workload.parameters)
    seconds = ", ".join(f"{who} {row['seconds']:.0f}" for who, row in rows.items() if who != AGAIN)
    return f"""## {name}

{workload.words}.
{count:,} parameters, batches of {workload.batch}, a rate of {RATES[name]:g}.
Held out, bits a character after so many steps:

{table((f"{cut:,}" for cut in cuts), at_cuts)}

The loss learned from, in nats, a mean of {TOGETHER} steps that end at:

{curves_table(rows, CURVE, 3, comma=",")}

Apart from PyTorch:

{table(kinds.values(), away)}

Processor seconds for the steps: {seconds}.
"""


def page(kept: Mapping[str, Any]) -> str:
    """The measurement as a page of Markdown."""
    networks = kept["networks"]
    told = [
        f"{name} {network['rows'][OURS]['bits'][-1]:.3f}, in PyTorch {network['rows'][THEIRS]['bits'][-1]:.3f}"
        for name, network in networks.items()
    ]
    verdict = f"**Bits a character held out, at the end: {'; '.join(told)}.**"
    verdict += "".join(f" **Too far apart: {one}.**" for one in missed(kept))
    threads = "one thread" if THREADS == 1 else f"{THREADS} threads"
    return f"""# A language model of characters, here and in PyTorch

Written by `make language`. tinyshakespeare in windows of {LENGTH} of {SYMBOLS} symbols, its last tenth held out; the
same first weights, the same windows in the same order; Adam, the global norm clipped to 1, the rate going to 0 by a
cosine; float32, {threads} each. Each library measures the held-out text by its own forward pass. The first
characters of a window are told from little.

{verdict}

In float32 a curve parts from another as soon as a sum is taken in another order. "{AGAIN}" is
PyTorch once more with the windows of each batch the other way round, which is the same mathematics: how far rounding
alone takes it. What is left when nothing is rounded is in [the curves](curves.md), there of dense networks.

{LINES.join(section(name, network) for name, network in networks.items())}
Others were at work on the machine, so the seconds are those that the processor spent, and are no measure of speed: that
is in [speed](speed.md).

{told_of(kept)}
"""


def draw(networks: Mapping[str, Any], path: str) -> Path:
    """The curves on top of each other: the loss, and the bits held out."""
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(11, 4 * len(networks))
    axes = np.reshape(drawn.subplots(len(networks), 2), (-1, 2))
    looks = {AGAIN: ("tab:orange", 4.0), THEIRS: ("tab:blue", 2.0), OURS: ("black", 0.8)}
    for (name, network), (left, right) in zip(networks.items(), axes, strict=True):
        draw_beside(left, right, network["rows"], looks, partial(_bits, network["cuts"]))
        left.set(title=name, xlabel="step", ylabel=f"loss in nats, mean of {TOGETHER} steps")
        right.set(title=name, xlabel="step", ylabel="bits a character, held out")
    return save_picture(drawn, path)


def _bits(cuts: Sequence[float], row: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    return cuts, row["bits"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all, and write the page."""
    options = options_of(__doc__, arguments)
    if not options.again:
        os.environ["CHAINRULE_THREADS"] = str(THREADS)
        text = text_of(*cr.data.load("tinyshakespeare", length=LENGTH))
        found: dict[str, Mapping[str, Course]] = {}
        for name in RATES:
            found[name] = compared(workload_of(name, STEPS), text, CUTS)
            keep(KEPT, record(found, CUTS))  # what is measured is not lost
    kept = publish(KEPT, page)
    for name, network in kept["networks"].items():
        for who, row in network["rows"].items():
            print(f"{name:12}{who:32}{row['bits'][-1]:.3f} bits a character, apart {network['apart'].get(who, '')}")
    if options.picture:
        print("wrote", draw(kept["networks"], options.picture))
    if told := missed(kept):
        raise SystemExit("; ".join(told))


if __name__ == "__main__":
    main()
