"""Vanishing through time: which recurrent cell learns an answer that lies 10 to 200 steps back, and what comes there.

Two numbers to be added; three symbols to be said again. "LSTM 5" is one with a forget bias of 5: it keeps, at first.
Run it with: CHAINRULE_THREADS=1 python examples/vanishing_through_time.py [--short] [--steps 4000] [--picture PATH]
"""

import argparse
import time
from functools import partial

import numpy as np

import chainrule as cr
from chainrule.data import adding_problem, copy_task
from chainrule.optimizers import Adam, ClipGlobalNorm, Compose

CELLS = {"simple": (cr.SimpleRNN, 0.003), "LSTM": (cr.LSTM, 0.01)}  # and the learning rate of each
MORE = {"LSTM 5": (partial(cr.LSTM, forget_bias=5.0), 0.01), "GRU": (cr.GRU, 0.01)}
TASKS = {
    "adding": (adding_problem, "mean squared error", 0.01, "0.167"),
    "copying": (partial(copy_task, remembered=3), "part of the symbols that is wrong", 0.05, "0.875"),
}
parser = argparse.ArgumentParser()
parser.add_argument("--short", action="store_true", help="two cells, one length, and few steps")
parser.add_argument("--steps", type=int, default=4000, help="after so many a cell gives up")
parser.add_argument("--picture", help="where to draw the gradients by distance and what was learned by length")
options = parser.parse_args()
cells, lengths, limit = (CELLS, [10], 200) if options.short else (CELLS | MORE, [10, 25, 50, 100, 200], options.steps)
learned, norms = {}, {}
for task, (make, measure, enough, guessing) in TASKS.items():
    print(f"\n{task}: steps until the {measure} is below {enough} (guessing: {guessing}), seconds of one core,")
    print("and what comes to the first step of the gradient at the end, before training → after it\nlength  cell")
    for length, (cell, (kind, rate)) in ((length, one) for length in lengths for one in cells.items()):
        train, test = (make(samples, length, seed=seed) for seed, samples in enumerate((12800, 500), 2))
        layers = (kind(32), cr.Dense(1)) if task == "adding" else (kind(32, sequences=True), cr.Dense(10))
        model = cr.Chain(*([] if task == "adding" else [cr.Embedding(10, 10)]), *layers)
        run = cr.prepare(model, train, optimizer=Compose(ClipGlobalNorm(1.0), Adam(rate)), batch_size=64)
        before, error, start = run.gradient_through_time(test)[0], 1.0, time.process_time()
        while error >= enough and (done := len(run.history)) < limit:
            said, asked = run.fit(train, steps=done + 200, progress=False).outputs(test.inputs), test.targets >= 0
            error = np.mean((said - test.targets) ** 2 if task == "adding" else (said.argmax(2) != test.targets)[asked])
        seconds, after = time.process_time() - start, run.gradient_through_time(test)[0]
        learned[task, length, cell], norms[task, length, cell] = error < enough and len(run.history), (before, after)
        told = f"{len(run.history):5,} steps" if error < enough else f"not: {error:5.3f} "
        came = " → ".join(f"{one.first / one.last:7.0e}" for one in (before, after))
        print(f"{length:6}  {cell:8} {told} {seconds:6.1f} s   {came}", flush=True)
if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    drawn, shown = figure(12, 8), lengths[-2:][0]
    for task, (left, right) in zip(TASKS, drawn.subplots(2, 2), strict=True):
        for place, cell in enumerate(cells):
            for one, line in zip(norms[task, shown, cell], ("--", "-"), strict=True):
                left.semilogy(np.maximum(one.norms, 1e-30) / one.last, f"C{place}{line}")
            steps = [learned[task, length, cell] or 1.1 ** (place + 1) * limit for length in lengths]  # above: never
            right.loglog(lengths, steps, f"C{place}.-", label=cell)
        left.set(title=f"{task}, {shown}: gradient before training (dashed) and after", xlabel="steps before the end")
        right.set(title=f"{task}: steps until learned, above {limit:,} never", xticks=lengths, xticklabels=lengths)
        right.legend()
    print("wrote", save_picture(drawn, options.picture))
