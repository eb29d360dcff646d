"""The update alone: one step of an optimizer on parameters of 1 and 10 million numbers, beside PyTorch's fastest form.

python -m benchmarks.speed.others.update PEER MATRICES    prints the seconds of a step, by optimizer
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.page import Line
from benchmarks.speed.peers import cores

BAR = 1.0
#: Parameters are matrices of this many rows and columns.
SIDE = 1000
#: Name -> chainrule's optimizer, PyTorch's, and its settings. PyTorch's form is fused where it has one, and otherwise
#: the one of many tensors at once.
OPTIMIZERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "descent": ("SGD(0.01)", "SGD", {"lr": 0.01, "fused": True}),
    "momentum": ("SGD(0.01, momentum=0.9)", "SGD", {"lr": 0.01, "momentum": 0.9, "fused": True}),
    "AdaGrad": ("AdaGrad()", "Adagrad", {"lr": 0.01, "fused": True}),
    "RMSprop": ("RMSprop()", "RMSprop", {"lr": 0.001, "alpha": 0.9, "foreach": True}),
    "Adam": ("Adam()", "Adam", {"lr": 0.001, "fused": True}),
    "AdamW": ("AdamW()", "AdamW", {"lr": 0.001, "fused": True}),
    "NAdam": ("NAdam()", "NAdam", {"lr": 0.002, "foreach": True}),
    "Adam, global norm clipped": ("Compose(ClipGlobalNorm(1.0), Adam())", "Adam", {"lr": 0.001, "fused": True}),
}


def _arrays(matrices: int) -> dict[str, Any]:
    generator = np.random.default_rng(3)
    return {
        f"{kind}/{number}.weight": generator.standard_normal((SIDE, SIDE)).astype(np.float32) * scale
        for number in range(matrices)
        for kind, scale in (("parameters", 1.0), ("gradient", 1e-3))
    }


def chainrule_seconds(text: str, matrices: int) -> float:
    """Seconds of a step as a training does it: many steps in one call."""
    from chainrule import graph, optimizers
    from chainrule.engines.native import NativeEngine
    from chainrule.layers.scope import Record
    from chainrule.optimizers import UpdateScope

    optimizer = eval(text, vars(optimizers))  # the names above, nothing else
    arrays = _arrays(matrices)
    record, step = Record("float32"), graph.input("step", (), "int32")
    paths = [f"{number}.weight" for number in range(matrices)]
    parameters = {path: graph.input(f"parameters/{path}", (SIDE, SIDE)) for path in paths}
    slopes = {path: graph.input(f"gradient/{path}", (SIDE, SIDE)) for path in paths}
    scope = UpdateScope(record, "", step, {})
    moves = optimizer.apply(scope, slopes, parameters)
    outputs = {f"parameters/{path}": parameters[path] + moves[path] for path in paths}
    outputs |= {name: node for name, node in record.values.items() if name in record.declared}
    program = NativeEngine().compile(graph.Graph({**outputs, "step": step + 1}))
    state: dict[str, Any] = {name: np.zeros(d.shape, d.dtype) for name, d in record.declared.items()}
    state |= {name: array for name, array in arrays.items() if name.startswith("parameters/")}
    state["step"] = np.zeros((), np.int32)
    fixed: dict[str, Any] = {name: array for name, array in arrays.items() if name.startswith("gradient/")}
    fixed |= {name: np.asarray(value, np.float32) for name, value in scope.numbers.items()}

    def many(count: int) -> float:
        start = time.perf_counter()
        program.repeat(state, fixed, {"turn": np.zeros(count)})
        return time.perf_counter() - start

    count = max(10, 100 // matrices)
    many(count)
    # What a call copies before its first step is taken off.
    return statistics.median((many(2 * count) - many(count)) / count for _ in range(7))


def pytorch_seconds(name: str, settings: dict[str, Any], clip: bool, matrices: int, threads: int) -> float:
    """Seconds of ``optimizer.step()``, the gradients being there."""
    import torch

    torch.set_num_threads(threads)
    parameters = []
    for label, array in _arrays(matrices).items():
        if label.startswith("parameters/"):
            parameters.append(torch.nn.Parameter(torch.from_numpy(array)))
        else:
            parameters[-1].grad = torch.from_numpy(array)
    optimizer = getattr(torch.optim, name)(parameters, **settings)

    def step() -> None:
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()

    for _ in range(3):
        step()
    times = []
    for _ in range(7):
        count = max(4, 100 // matrices)
        start = time.perf_counter()
        for _ in range(count):
            step()
        times.append((time.perf_counter() - start) / count)
    return statistics.median(times)


def all_seconds(peer: str, matrices: int) -> dict[str, float]:
    """Seconds by optimizer."""
    timed: dict[str, Callable[[], float]] = {}
    for label, (own, name, settings) in OPTIMIZERS.items():
        if peer == "chainrule":
            timed[label] = lambda own=own: chainrule_seconds(own, matrices)  # type: ignore[misc]
        else:
            threads = int(peer.removeprefix("torch-"))
            timed[label] = lambda name=name, settings=settings, clip="clip" in label, threads=threads: (  # type: ignore[misc]
                pytorch_seconds(name, settings, clip, matrices, threads)
            )
    return {label: seconds() for label, seconds in timed.items()}


def measure(folder: Path, quick: bool) -> list[Line]:
    """All optimizers, the peers in turn, the median of three processes each; PyTorch by one thread and by all."""
    from benchmarks.speed.training import run_module

    lines = []
    peers = ["chainrule", *(f"torch-{threads}" for threads in sorted({1, cores()}))]
    for matrices in (1, 10):
        found: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
        for _ in range(1 if quick else 3):
            for peer in peers:
                found[peer].append(json.loads(run_module("others.update", peer, str(matrices))))
        for label in OPTIMIZERS:
            each = {peer: statistics.median(row[label] for row in rows) for peer, rows in found.items()}
            best = min(seconds for peer, seconds in each.items() if peer != "chainrule")
            ratio = best / each["chainrule"]
            told = f"{each['chainrule'] * 1e3:.2f} ms, PyTorch {best * 1e3:.2f} ms: {ratio:.2f} times as fast"
            what = f"update of {matrices} M parameters, {label}"
            lines.append(Line(what, told, f"{BAR:.0f}", ratio >= BAR))
    return lines


if __name__ == "__main__":
    print(json.dumps(all_seconds(sys.argv[1], int(sys.argv[2]))))
