"""Depth against width: networks of as many parameters, from one wide hidden layer to sixteen narrow ones.

Each is as wide as 10,000 parameters allow. Run it with: python examples/depth_and_width.py [--short] [--picture PATH]
"""

import sys
from itertools import pairwise

import numpy as np

import chainrule as cr

train, test = cr.data.load("digits")
depths, seeds, epochs, engine = [1, 2, 4, 8, 16], 3, 20, "native"
if "--short" in sys.argv:  # to compile sixteen layers would take longer than to train them
    depths, seeds, epochs, engine = [1, 2, 16], 1, 8, "reference"
budget = 10_000
optimizer = cr.optimizers.SGD(0.03, momentum=0.9)


def parameters(depth, width):
    """How many a network has, from 64 points through so many hidden layers to 10 classes."""
    sizes = [64, *[width] * depth, 10]
    return sum((above + 1) * below for above, below in pairwise(sizes))


found = {}
print("hidden layers   width   parameters   loss, learned   test accuracy: mean    worst     best")
for depth in depths:
    width = max(width for width in range(1, 200) if parameters(depth, width) <= budget)
    model = cr.Chain(*[cr.Dense(width, cr.relu) for _ in range(depth)], cr.Dense(10))
    settings = {"epochs": epochs, "optimizer": optimizer, "engine": engine, "progress": False}
    runs = [cr.fit(model, train, seed=seed, **settings) for seed in range(seeds)]
    assert sum(value.size for value in runs[0].parameters.values()) == parameters(depth, width)
    loss = np.mean([run.evaluate(train)["loss"] for run in runs])
    right = found[depth] = [run.evaluate(test)["accuracy"] for run in runs]
    shares = f"{np.mean(right):21.1%} {min(right):8.1%} {max(right):8.1%}"
    print(f"{depth:13} {width:7} {parameters(depth, width):12,} {loss:15.4f} {shares}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure()
    axes = drawn.subplots()
    axes.semilogx(depths, [np.mean(right) for right in found.values()], "o-", base=2)
    axes.set(xlabel="hidden layers, with 10,000 parameters together", ylabel="test accuracy")
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
