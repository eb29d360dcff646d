"""The same training in PyTorch: the loss of each step beside ours, for each optimizer that both have.

    make curves                         # some minutes; writes benchmarks/curves.md; exit code 1 if a curve differs
    make curves PICTURE=curves.png      # and draws the curves on top of each other

784-100-10 with ReLU on 6,400 digits of MNIST, cross-entropy; the same first weights, the same samples in the same
order, the same settings. Where a form differs (see "Differs from" in the docstrings), the settings say the same thing
in the words of each: PyTorch is told to let biases be, where weights decay, as they are let be here. Nothing is fitted.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.data.batches import batches, epoch_order
from chainrule.optimizers import (
    SGD,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    Compose,
    NAdam,
    Optimizer,
    RMSprop,
    Rprop,
    WeightDecay,
)

Array = NDArray[Any]
HERE = Path(__file__).resolve().parent
#: The largest difference that a loss of float64 may have, in proportion to the first loss.
BAR = 1e-9
SAMPLES, HIDDEN, BATCH, EPOCHS, WHOLE_EPOCHS, SEED = 6400, 100, 64, 5, 30, 0


@dataclass(frozen=True)
class Pair:
    """One optimizer in the words of both: ours, and the class of ``torch.optim`` with its settings."""

    ours: Optimizer
    theirs: str
    settings: Mapping[str, float | bool] = field(default_factory=dict)
    #: All samples at once, which is what it is made for.
    whole: bool = False

    def told(self) -> str:
        """PyTorch's form, as it is written there."""
        return f"{self.theirs}({', '.join(f'{name}={value}' for name, value in self.settings.items())})"


def told(optimizer: Any) -> str:
    """Our form, as it is written: what is said, without what is left as it is."""
    if isinstance(optimizer, Compose):
        return f"Compose({', '.join(told(part) for part in optimizer.parts)})"
    said = [(one.name, getattr(optimizer, one.name), one.default) for one in fields(optimizer)]
    words = [f"{name}={value}" for name, value, default in said if value != default]
    return f"{type(optimizer).__name__}({', '.join(words)})"


PAIRS = {
    "plain": Pair(SGD(0.1), "SGD", {"lr": 0.1}),
    "momentum": Pair(SGD(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    "Nesterov": Pair(SGD(0.05, momentum=0.9, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "L2": Pair(
        Compose(WeightDecay(0.001), SGD(0.05, momentum=0.9)),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.001},
    ),
    "Adam": Pair(Adam(0.001), "Adam", {"lr": 0.001}),
    "AdamW": Pair(AdamW(0.001, weight_decay=0.05), "AdamW", {"lr": 0.001, "weight_decay": 0.05}),
    "AMSGrad": Pair(AMSGrad(0.001), "Adam", {"lr": 0.001, "amsgrad": True}),
    "NAdam": Pair(NAdam(0.001, momentum_decay=0.004), "NAdam", {"lr": 0.001, "momentum_decay": 0.004}),
    "Adamax": Pair(Adamax(0.002), "Adamax", {"lr": 0.002}),
    "RMSprop": Pair(RMSprop(0.001, rho=0.99), "RMSprop", {"lr": 0.001, "alpha": 0.99}),
    "RMSprop, momentum": Pair(
        RMSprop(0.0003, rho=0.99, momentum=0.9), "RMSprop", {"lr": 0.0003, "alpha": 0.99, "momentum": 0.9}
    ),
    "RMSprop, centred": Pair(
        RMSprop(0.001, rho=0.99, epsilon=1e-3, centred=True),
        "RMSprop",
        {"lr": 0.001, "alpha": 0.99, "eps": 1e-3, "centered": True},
    ),
    "AdaGrad": Pair(AdaGrad(0.01), "Adagrad", {"lr": 0.01}),
    "Adadelta": Pair(Adadelta(1.0, rho=0.9), "Adadelta", {"lr": 1.0, "rho": 0.9}),
    "Rprop": Pair(Rprop(0.001), "Rprop", {"lr": 0.001}, whole=True),
}


@dataclass(frozen=True)
class Course:
    """What both are given: prepared samples, the first weights by path, the order of each epoch, the batch's size."""

    inputs: Array
    labels: Array
    weights: Mapping[str, Array]
    orders: Sequence[Array]
    batch_size: int


def prepared(data: cr.data.Dataset, dtype: str) -> cr.data.Dataset:
    """The data as numbers of this dtype, ready for a network: both get these very numbers."""
    floats = (data.inputs.astype(np.float64) - data.preparation.shift) * data.preparation.scale
    return cr.data.from_arrays(floats.astype(dtype), data.labels, data.classes)


def start(
    pair: Pair, data: cr.data.Dataset, hidden: int, batch: int, epochs: int, engine: str = "native"
) -> tuple[cr.Run, Course]:
    """A run before its first step, in the dtype of the data, and the course that is before it."""
    model = cr.Chain(cr.Dense(hidden, cr.relu), cr.Dense(10))
    size, dtype = None if pair.whole else batch, data.inputs.dtype.name
    run = cr.prepare(model, data, optimizer=pair.ours, batch_size=size, seed=SEED, dtype=dtype, engine=engine)
    assert data.labels is not None
    orders = [epoch_order(run.seed, epoch, len(data)) for epoch in range(epochs)]
    return run, Course(data.inputs, data.labels, run.parameters, orders, run.batch_size)


def theirs(pair: Pair, taken: Course) -> tuple[Array, dict[str, Array]]:
    """The loss of each step of PyTorch on that course, and its weights at the end, named and laid out as ours."""
    import torch
    from torch.nn.functional import cross_entropy

    # NAdam keeps its product of momenta in the default dtype, whatever that of the weights.
    torch.set_default_dtype({"float32": torch.float32, "float64": torch.float64}[taken.inputs.dtype.name])
    inputs, labels = torch.from_numpy(taken.inputs.copy()), torch.from_numpy(taken.labels.copy()).long()
    layers: list[Any] = []
    for weight, bias in zip(*([iter(taken.weights.values())] * 2), strict=True):
        dense = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            dense.weight.copy_(torch.from_numpy(weight.T.copy()))
            dense.bias.copy_(torch.from_numpy(bias))
        layers += [dense, torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    groups = [
        {"params": [dense.weight for dense in layers[::2]]},
        {"params": [dense.bias for dense in layers[::2]], "weight_decay": 0.0},  # biases do not decay here
    ]
    learned = groups if "weight_decay" in pair.settings else list(network.parameters())
    optimizer = getattr(torch.optim, pair.theirs)(learned, **pair.settings)
    losses = []
    for order in taken.orders:
        full, last = batches(order, taken.batch_size)
        for indices in [*full, *([last] if len(last) else [])]:
            chosen = torch.from_numpy(indices).long()
            optimizer.zero_grad()
            loss = cross_entropy(network(inputs[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    found = [array.detach().numpy() for dense in layers[::2] for array in (dense.weight.T, dense.bias)]
    return np.array(losses), dict(zip(taken.weights, found, strict=True))


@dataclass(frozen=True)
class Compared:
    """The losses of both, step by step, in both precisions; and the largest difference of a weight at the end."""

    ours: Mapping[str, Array]
    theirs: Mapping[str, Array]
    weights: Mapping[str, float]

    def apart(self, dtype: str) -> Array:
        """How far the curves are from each other, step by step."""
        found: Array = np.abs(self.ours[dtype] - self.theirs[dtype])
        return found

    @property
    def rounding(self) -> float:
        """The largest difference of PyTorch's curve of float32 from its own of float64."""
        return float(np.abs(self.theirs["float32"] - self.theirs["float64"]).max())

    @property
    def agrees(self) -> bool:
        """Whether the curves of float64 are the same but for the last digits."""
        return bool(self.apart("float64").max() <= BAR * self.theirs["float64"][0])


def compare(pair: Pair, data: cr.data.Dataset) -> Compared:
    """Train both, in both precisions."""
    epochs = WHOLE_EPOCHS if pair.whole else EPOCHS
    found: dict[str, tuple[Array, Array]] = {}
    weights = {}
    for dtype in ("float64", "float32"):
        fed = prepared(data, dtype)
        run, taken = start(pair, fed, HIDDEN, BATCH, epochs)
        losses, last = theirs(pair, taken)
        run.fit(fed, epochs=epochs, progress=False)
        found[dtype] = (run.history.steps["loss"], losses)
        weights[dtype] = max(float(np.abs(run.parameters[path] - array).max()) for path, array in last.items())
    return Compared({d: pair[0] for d, pair in found.items()}, {d: pair[1] for d, pair in found.items()}, weights)


COLUMNS = (
    "",
    "ours",
    "PyTorch's",
    "steps",
    "loss, first to last",
    "float64: largest difference of a loss",
    "of a weight at the end",
    "float32: of a loss",
    "of a weight at the end",
    "PyTorch's float32 from its float64: of a loss",
)


def row(name: str, pair: Pair, found: Compared) -> str:
    """One line of the table."""
    curve = found.theirs["float64"]
    numbers = [number for d in ("float64", "float32") for number in (found.apart(d).max(), found.weights[d])]
    cells = [name, f"`{told(pair.ours)}`", f"`{pair.told()}`", f"{len(curve)}", f"{curve[0]:.4f} to {curve[-1]:.4f}"]
    return "| " + " | ".join([*cells, *(f"{number:.1e}" for number in [*numbers, found.rounding])]) + " |"


def page(rows: Sequence[str], worst: float) -> str:
    """The table as a page of Markdown."""
    import torch

    machine = f"{platform.system()} {platform.machine()}"
    header = f"| {' | '.join(COLUMNS)} |\n|---|---|---|{'---:|' * (len(COLUMNS) - 3)}"
    table = "\n".join([header, *rows])
    return f"""# The same curves as PyTorch's

Written by `make curves`. 784-{HIDDEN}-10 with ReLU, cross-entropy, {SAMPLES:,} digits of MNIST in batches of {BATCH},
{EPOCHS} epochs (Rprop: all samples in each of {WHOLE_EPOCHS} steps). The same first weights, the same samples in the
same order, the same settings, said in the words of each; no batch normalisation, no dropout. The loss of **every step**
is compared.

**The largest difference of a loss in float64, over all optimizers, is {worst:.1e}**; the bar is {BAR:g} of the first.
In float32 the curves part by rounding, as sums are ordered anew. How far rounding alone takes a curve is in the last
column, where PyTorch is compared with itself.

{table}

Weights decay in both, biases in neither: here that is the rule, in PyTorch a group of their own with `weight_decay=0`.
Rprop goes by signs alone: once the loss is near 0, rounding turns the signs of weights that the loss hardly depends on
(after 60 steps: losses within 2e-9 of each other, a weight 180 apart, loss 0.0001). The rows end before that.
What only one of the two has is not in the table: Lion, delta-bar-delta, K-FAC and the learners by populations here;
RAdam, ASGD, Adafactor, Muon and SparseAdam there. L-BFGS is in both, but searches along its line here and takes steps
of a fixed length there; the tests hold it to SciPy's.

chainrule {cr.__version__} (native engine), PyTorch {torch.__version__}, NumPy {np.__version__}, {machine}.
"""


def draw(everything: Mapping[str, Compared], path: str) -> Path:
    """Both curves on top of each other, an optimizer a panel, and below them how far they are apart."""
    from chainrule.explain.pictures import figure, save_picture

    columns = 5
    high = -(-len(everything) // columns)
    drawn = figure(3.2 * columns, 4.0 * high)
    panels = drawn.subplots(2 * high, columns, squeeze=False, height_ratios=[2, 1] * high)
    for axes in panels.flat:
        axes.set_visible(False)
    for place, (name, found) in enumerate(everything.items()):
        line, column = divmod(place, columns)
        above, below = panels[2 * line][column], panels[2 * line + 1][column]
        above.set_visible(True)
        below.set_visible(True)
        above.plot(found.theirs["float64"], color="tab:orange", linewidth=3.5, alpha=0.6, label="PyTorch")
        above.plot(found.ours["float64"], color="black", linewidth=0.7, label="chainrule")
        above.set(title=name, xticks=[], ylim=(0, None))
        for dtype, colour in (("float32", "tab:blue"), ("float64", "black")):
            below.semilogy(np.maximum(found.apart(dtype), 1e-17), color=colour, linewidth=0.7, label=dtype)
        below.set(ylim=(1e-17, 1.0), xlabel="step")
    panels[0][0].legend()
    panels[0][0].set_ylabel("loss")
    panels[1][0].legend()
    panels[1][0].set_ylabel("difference")
    return save_picture(drawn, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--picture", help="where to draw the curves (PNG)")
    options = parser.parse_args()
    if options.picture:
        import chainrule.explain.pictures  # noqa: F401  says now, not at the end, if it cannot
    import torch

    torch.set_num_threads(1)
    whole, _ = cr.data.load("mnist")
    data, everything, rows = whole.subset(np.arange(SAMPLES)), {}, []
    for name, pair in PAIRS.items():
        everything[name] = compare(pair, data)
        rows.append(row(name, pair, everything[name]))
        print(rows[-1] + ("" if everything[name].agrees else "  DIFFERS"), flush=True)
    worst = max(float(found.apart("float64").max()) for found in everything.values())
    (HERE / "curves.md").write_text(page(rows, worst))
    print(f"largest difference of a loss in float64: {worst:.1e}")
    if options.picture:
        print("wrote", draw(everything, options.picture))
    if not all(found.agrees for found in everything.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
