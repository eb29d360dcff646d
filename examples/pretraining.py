"""A deep network of sigmoids learns from nothing, and after each of its layers was an autoencoder of the one before.

    python examples/pretraining.py [--short] [--picture FILE.png]     10,000 digits of MNIST; or small ones

Eight layers squeeze digits through a few numbers and draw them again; from nothing they learn little of it. So each
is learned beforehand in a network of two, whose second layer begins the drawing half; then all learn together.
G. Hinton and R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006 (but by autoencoders).
"""

import itertools
import sys

import numpy as np

import chainrule as cr

short = "--short" in sys.argv
parts = cr.data.load("digits" if short else "mnist")
images, others = (np.float32(part.preparation.forward(part.inputs[: 1400 if short else 10000])) for part in parts)
sizes, epochs = ([64, 64, 48, 32, 10], 20) if short else ([784, 500, 250, 100, 20], 20)
loss, adam, depth = cr.losses.binary_cross_entropy, cr.optimizers.Adam(0.003), len(sizes) - 1


def prepare(model, x, **settings):
    pairs = cr.data.from_arrays(x, x)
    return cr.prepare(model, pairs, loss=loss, optimizer=adam, batch_size=100, **settings), pairs


weights, seen = {}, images
for place, (before, after) in enumerate(itertools.pairwise(sizes)):
    coder = cr.Dense(after, cr.sigmoid)
    run, pairs = prepare(cr.Chain(coder, cr.Dense(before)), seen)
    run.fit(pairs, epochs=epochs // 2 if short else 5)
    for path, array in run.parameters.items():  # layer 0 is its place in the first half, layer 1 mirrors it
        weights[f"{place if path[0] == '0' else 2 * depth - 1 - place}{path[1:]}"] = array
    seen = run.apply(coder, seen)
    print(f"{before} to {after}: loss {run.history.epochs[-1]['loss']:.2f}", flush=True)

units, curves = [*sizes[1:], *sizes[-2:0:-1]], {}
deep = cr.Chain(*(cr.Dense(size, cr.sigmoid) for size in units), cr.Dense(sizes[0]))
for name, settings in {"from nothing": {}, "pretrained": {"weights": weights}}.items():
    (run, pairs), curves[name] = prepare(deep, images, **settings), []
    for epoch in range(epochs + 1):
        run = run.fit(pairs, epochs=epoch) if epoch else run
        curves[name].append(float(np.mean((run.probabilities(others) - others) ** 2)))
print("squared error   from nothing   pretrained")
for epoch in range(0, epochs + 1, 4):
    print(f"epoch {epoch:2} {curves['from nothing'][epoch]:19.4f} {curves['pretrained'][epoch]:12.4f}")
print(f"drawing the mean digit: {others.var(axis=0).mean():.4f}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure()
    axes = drawn.subplots()
    for name, curve in curves.items():
        axes.plot(curve, label=name)
    axes.set(xlabel="epoch of all layers together", ylabel="squared error of digits not learned from", ylim=(0, 0.1))
    axes.legend()
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
