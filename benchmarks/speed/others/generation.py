"""Text, one symbol at a time, by the networks of charlstm and transformer: symbols a second, the likeliest each time.

python -m benchmarks.speed.others.generation PEER WORKLOAD SECONDS    prints them, and the symbols
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed.data import LENGTH, SYMBOLS
from benchmarks.speed.page import Line
from benchmarks.speed.peers import cores
from benchmarks.speed.workload import Given, first_parameters
from benchmarks.speed.workloads import WORKLOADS

BAR = 2.0
TITLES = {"chainrule": "`run.generate`", "torch-1": "PyTorch, 1 thread", "torch": "PyTorch, all threads"}
#: After one symbol that is given, as many as fit into what the networks were made for.
COUNT = LENGTH - 1
#: Each of the symbols, and enough of them to make samples of.
TEXT = "".join(chr(48 + number) for number in range(SYMBOLS)) * 20
Generate = Callable[[], list[int]]


def given(name: str) -> Given:
    """The network of a workload, and a text that has as many symbols."""
    import chainrule as cr

    train, _ = cr.data.language(TEXT, length=LENGTH)
    assert train.targets is not None
    return Given(WORKLOADS[name], train.inputs, train.targets, first_parameters(WORKLOADS[name]))


def chainrule_generate(name: str, threads: int) -> Generate:
    """The face: a run goes on with a text."""
    import chainrule as cr
    from benchmarks.speed.peers.chainrule_peer import model_of, parameters_of

    train, _ = cr.data.language(TEXT, length=LENGTH)
    form = train.preparation.text
    assert form is not None
    start = given(name)
    run = cr.prepare(model_of(start.workload), train)
    run.set_parameters(dict(zip(run.parameters, parameters_of(start), strict=True)))
    first = form.decode([0])
    return lambda: [int(number) for number in form.numbers(run.generate(first, COUNT, temperature=0.0), "the text")]


def torch_generate(name: str, threads: int) -> Generate:
    """Modules in inference mode, with the state of the LSTM, or the keys and values of what came before."""
    import torch
    from torch import nn

    from benchmarks.speed.peers.pytorch_peer import Attention, Positions, Recurrent, Shortcut, network

    torch.set_num_threads(threads)
    model = network(given(name)).eval()

    def attend(module: Any, x: Any, kept: list[Any], place: int) -> Any:
        q, k, v = module.together(x).view(1, 1, 3, module.heads, -1).permute(2, 0, 3, 1, 4)
        if not kept:
            kept += [torch.empty(1, module.heads, LENGTH, q.shape[-1]) for _ in range(2)]
        for cache, new in zip(kept, (k, v), strict=True):
            cache[:, :, place : place + 1] = new
        keys, values = (cache[:, :, : place + 1] for cache in kept)
        mixed = nn.functional.scaled_dot_product_attention(q, keys, values)
        return module.last(mixed.transpose(1, 2).reshape(1, 1, -1))

    def step(module: Any, x: Any, kept: list[Any], place: int) -> Any:
        if isinstance(module, Positions):
            return x + module.rows[place]
        if isinstance(module, Recurrent):
            outputs, state = module.module(x, *kept)
            kept[:] = [state]
            return outputs
        if isinstance(module, Shortcut) and isinstance(module.block[1], Attention):
            return x + attend(module.block[1], module.block[0](x), kept, place)
        return module(x)

    def generate() -> list[int]:
        known: list[int] = [0]
        memory: list[list[Any]] = [[] for _ in model]
        with torch.inference_mode():
            for place in range(COUNT):
                x = torch.tensor([[known[-1]]])
                for module, kept in zip(model, memory, strict=True):
                    x = step(module, x, kept, place)
                known.append(int(x[0, 0].argmax()))
        return known

    return generate


def symbols_a_second(peer: str, name: str, seconds: float) -> tuple[float, list[int]]:
    """The median over texts, and one of them."""
    make = chainrule_generate if peer == "chainrule" else torch_generate
    generate = make(name, 1 if peer.endswith("-1") else cores())
    symbols = generate()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        generate()
        times.append(time.perf_counter() - start)
    return COUNT / statistics.median(times), symbols


def measure(folder: Path, quick: bool) -> list[Line]:
    """Both networks: five processes of each peer in turn; all give the same text."""
    from benchmarks.speed.training import run_module

    lines = []
    for name in ("charlstm", "transformer"):
        found: dict[str, list[float]] = {peer: [] for peer in TITLES}
        for _ in range(1 if quick else 5):
            texts = {}
            for peer in TITLES:
                printed = json.loads(run_module("others.generation", peer, name, "0.3" if quick else "2"))
                found[peer].append(printed["symbols_a_second"])
                texts[peer] = printed["symbols"]
            others = [peer for peer, text in texts.items() if text != texts["chainrule"]]
            assert not others, f"{', '.join(others)}: other texts than chainrule's"
        medians = {peer: statistics.median(rates) for peer, rates in found.items()}
        ratio = medians["chainrule"] / max(rate for peer, rate in medians.items() if peer != "chainrule")
        told = ", ".join(f"{TITLES[peer]} {rate:,.0f}" for peer, rate in medians.items())
        what = f"text by the network of {name}, {COUNT} symbols after one: symbols a second"
        lines.append(Line(what, f"{told}; {ratio:.2f}× the best", f"{BAR:g}×", ratio >= BAR))
    return lines


if __name__ == "__main__":
    rate, symbols = symbols_a_second(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    print(json.dumps({"symbols_a_second": rate, "symbols": symbols}))
