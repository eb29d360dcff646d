"""Exploding gradients: ten layers and a learning rate that throws the weights away, rescued by clipping.

A large step leads to where the gradient is larger still. Clipped, it has norm 1 at most. Weight decay, often advised,
comes too late here. Run it with: python examples/exploding.py [--epochs 12]
"""

import argparse

import chainrule as cr
from chainrule.optimizers import SGD, ClipGlobalNorm, Compose, WeightDecay

WAYS = {
    "as it is": SGD(0.4),
    "weight decay 0.001": Compose(WeightDecay(0.001), SGD(0.4)),
    "weight decay 0.01": Compose(WeightDecay(0.01), SGD(0.4)),
    "clipped to norm 1": Compose(ClipGlobalNorm(1.0), SGD(0.4)),
}
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=12)
options = parser.parse_args()
train, test = cr.data.load("digits")
model = cr.Chain(*(cr.Dense(32, cr.relu) for _ in range(10)), cr.Dense(10))
accuracies = {}
print(f"{'gradient norm':20} first   largest      last   test accuracy")
for name, optimizer in WAYS.items():
    run = cr.fit(model, train, optimizer=optimizer, epochs=options.epochs)
    norms = run.history.steps["gradient_norm"]
    accuracies[name] = run.evaluate(test)["accuracy"]
    print(f"{name:18} {norms[0]:7.2f} {norms.max():9.2f} {norms[-1]:9.2f} {accuracies[name]:15.1%}")
