"""Gradients that explode, in two networks for two reasons, and what rescues which: clipping, weight decay, or both.

Steps that are too long lead to where the gradient is larger still; clipping bounds them. Weights that are too large
multiply it in each layer; decay makes them smaller. Neither helps where the other does. Told is the gradient norm of a
layer's weight. Run it with: python examples/exploding.py [--epochs 30] [--seeds 4] [--picture exploding.png]
"""

import argparse

import numpy as np

import chainrule as cr
from chainrule.graph.composites import sqrt
from chainrule.optimizers import SGD, ClipNorm, Compose, WeightDecay

LARGE = cr.initializers.Normal(4 / 32**0.5)  # four times what keeps the size of what passes
NETWORKS = {
    "steps too long": (cr.Chain(*(cr.Dense(32, cr.relu) for _ in range(10)), cr.Dense(10)), 0.4),
    "weights too large": (cr.Chain(*(cr.Dense(32, cr.tanh, weight=LARGE) for _ in range(12)), cr.Dense(10)), 0.05),
}
# Bound and decay; numbers are never a part of the graph, so that all four ways are one compiled program.
WAYS = {"as it is": (1e9, 0.0), "clipped": (0.3, 0.0), "weight decay": (1e9, 0.03), "both": (0.3, 0.03)}
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--seeds", type=int, default=4)
parser.add_argument("--picture", help="where to draw the gradient norms by depth")
options = parser.parse_args()
train, test = cr.data.load("digits")
depths, accuracies = {}, {}
for network, (model, rate) in NETWORKS.items():
    print(f"\n{network:18} first step: layer 1, middle, last   last step:                      largest   test accuracy")
    for way, (bound, decay) in WAYS.items():
        optimizer = Compose(ClipNorm(bound), WeightDecay(decay), SGD(rate))

        @cr.step
        def step(state, batch, model=model, optimizer=optimizer):
            loss = cr.losses.cross_entropy(state.apply(model, batch.inputs), batch.targets)
            state.descend(loss, model, optimizer)
            return {path: sqrt(cr.graph.sum(slope**2)) for path, slope in state.descents[0].gradients.items()}

        right = accuracies[network, way] = []
        for seed in range(options.seeds):
            run = cr.fit(step, train, epochs=options.epochs, seed=seed)
            outputs = run.apply(model, test.preparation.forward(test.inputs))
            right.append((outputs.argmax(axis=1) == test.labels).mean())
            norms = np.array([column for path, column in run.history.steps.items() if path.endswith("weight")])
            norms = depths.setdefault((network, way), norms)  # (layers, steps), of the first seed
        shown = " ".join(f"{norms[place, at]:9.2g}" for at in (0, -1) for place in (0, len(norms) // 2, -1))
        print(f"{way:20} {shown} {norms.max():11.3g} {min(right):10.1%} to {max(right):.1%}")
if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(12, 4.5)
    for axes, name in zip(drawn.subplots(1, 2), NETWORKS, strict=True):
        axes.semilogy(depths[name, "as it is"][:, 0], "k.--", label="first step")
        for way in WAYS:
            axes.semilogy(np.maximum(depths[name, way][:, -1], 1e-6), ".-", label=f"last step, {way}")
        axes.set(title=name, xlabel="layer, from 0", ylabel="gradient norm, 0 as 10⁻⁶")
        axes.legend()
    print("wrote", save_picture(drawn, options.picture))
