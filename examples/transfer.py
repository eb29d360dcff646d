"""Two digits learned from ten examples each, by a network that knows the other eight, and by one that knows nothing.

    python examples/transfer.py [--short] [--picture FILE.png]     MNIST, five drawings of the examples; or small digits

The last layer is replaced; all others begin with the weights of the network that knows eight, and are frozen, or learn
too: at once, slowly, or when the new layer has learned.
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.keys import Key

short, NEW, EACH, relu, adam = "--short" in sys.argv, (8, 9), 10, cr.relu, cr.optimizers.Adam(0.003)
train, test = cr.data.load("digits" if short else "mnist", images=True)
body = [cr.Conv2D(16, 3, relu), cr.BatchNorm(), cr.MaxPool2D(2), cr.Conv2D(32, 3, relu), cr.BatchNorm()]
body, slow = [*body, cr.MaxPool2D(2), cr.Flatten(), cr.Dense(64, relu)], cr.optimizers.Adam(0.0003)


def part(data, digits, rows=None):
    """The samples of some digits, or of some places, with labels of their own."""
    rows = np.flatnonzero(np.isin(data.targets, digits)) if rows is None else rows
    labels = np.searchsorted(digits, data.targets[rows]).astype(np.int32)
    return cr.data.from_arrays(data.inputs[rows], labels, list(map(str, digits)), preparation=data.preparation)


eight, others = part(train, range(8)), part(test, range(8))
known = cr.fit(cr.Chain(*body, cr.Dense(8)), eight, optimizer=adam, epochs=10 if short else 2, batch_size=64)
print(f"eight digits: {known.evaluate(others)['accuracy']:.2%} right", flush=True)
ways = {
    "from nothing": {"optimizer": adam},
    "the new layer alone": {"weights": known, "freeze": ["0", "1", "3", "4", "7"], "optimizer": adam},
    "all at once": {"weights": known, "optimizer": adam},
    "the others slowly": {"weights": known, "optimizer": cr.optimizers.Groups({"8.*": adam}, otherwise=slow)},
    "the new layer, then all": {"optimizer": slow},
}
found, runs = {way: [] for way in ways}, {}
for seed in range(2 if short else 5):
    rows = [np.flatnonzero(train.targets == digit) for digit in NEW]
    few = np.concatenate([of[Key(seed).child(str(n)).permutation(len(of))[:EACH]] for n, of in enumerate(rows)])
    for way, settings in ways.items():
        begun = {"weights": runs["the new layer alone"]} if way == "the new layer, then all" else {}
        model, common = cr.Chain(*body, cr.Dense(2)), {"epochs": 40, "batch_size": 10, "seed": seed}
        run = runs[way] = cr.fit(model, part(train, NEW, few), **settings, **begun, **common)
        found[way].append(run.evaluate(part(test, NEW))["accuracy"])
print(runs["all at once"].transfer)
for way, shares in found.items():
    print(f"{way:24} {np.mean(shares):7.2%} of the new digits right, from {min(shares):.2%} to {max(shares):.2%}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(8, 3.5)
    axes = drawn.subplots()
    for place, shares in enumerate(found.values()):
        axes.plot(shares, [place] * len(shares), "o", alpha=0.6)
    axes.set(yticks=range(len(found)), yticklabels=list(found), xlabel="share of the new digits that are right")
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
