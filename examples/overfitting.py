"""Overfitting: 120 digits learned by heart, mistakes included, and what helps against it.

One label in six is wrong. 26,000 weights learn the wrong ones too, whatever that does to other digits; L1, L2, dropout,
stopping early, noise and more data each help. Run it with: python examples/overfitting.py [--picture PATH]
"""

import dataclasses
import sys

import numpy as np

import chainrule as cr


def with_mistakes(data):
    """Each sixth digit taken for the next one."""
    return dataclasses.replace(data, targets=np.where(np.arange(len(data)) % 6, data.targets, (data.targets + 1) % 10))


def network(*between):
    return cr.Chain(*[layer for _ in range(2) for layer in (cr.Dense(128, cr.relu), *between)], cr.Dense(10))


train, test = cr.data.load("digits")
few, held_back = with_mistakes(train.subset(np.arange(120))), train.subset(np.arange(120, 240))
remedies = {
    "none": (network(), few, {}),
    "L1": (network(), few, {"regularizer": cr.regularizers.L1(0.005)}),
    "L2": (network(), few, {"regularizer": cr.regularizers.L2(0.03)}),
    "dropout": (network(cr.Dropout(0.5)), few, {}),
    "early stopping": (network(), few, {"callbacks": [cr.training.StopWithoutImprovement(3, restore_best=True)]}),
    "noise": (cr.Chain(cr.GaussianNoise(0.5), network()), few, {}),
    "more data": (network(), with_mistakes(train), {}),
}
settings = {"optimizer": cr.optimizers.SGD(0.05, momentum=0.9), "validation": held_back, "progress": False}
first_weights, losses = {}, {}
print("remedy           learned     test   log loss   norm of weights   epochs")
for name, (model, data, own) in remedies.items():
    run = cr.fit(model, data, epochs=100 if data is few else 10, **settings, **own)  # about as many steps
    weights = [value.ravel() for path, value in run.parameters.items() if path.endswith("weight")]
    learned, right, norm = run.evaluate(data)["accuracy"], run.evaluate(test), np.linalg.norm(np.concatenate(weights))
    print(f"{name:15} {learned:8.1%} {right['accuracy']:8.1%} {right['loss']:10.3f} {norm:17.2f} {run.epoch:8}")
    first_weights[name] = abs(weights[0]).clip(1.01e-4, 0.99)
    losses[name] = [record["validation_loss"] for record in run.history.epochs]

print("\nhow many weights of the first layer are how large, from 0.0001 to 1; 8 columns a tenfold")
for name, sizes in first_weights.items():
    counts = np.histogram(sizes, np.geomspace(1e-4, 1, 33))[0]
    print(f"{name:15}", "".join("▁▂▃▄▅▆▇█"[round(7 * share)] for share in counts / counts.max()))

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(20, 6)
    for (above, below), name in zip(drawn.subplots(2, 7).T, losses, strict=True):
        above.plot(losses[name])
        above.set(title=name, xlabel="epoch", ylabel="log loss, validation", ylim=(0, 3))
        below.hist(np.log10(first_weights[name]), 60)
        below.set(xlabel="size of a weight, power of ten")
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
