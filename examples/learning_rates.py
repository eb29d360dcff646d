"""The learning rate: too small and it gets nowhere, too large and it jumps about; in between is a wide middle.

Plain descent on digits, the same first weights and the same batches each time; what differs is one number. Run it with:
python examples/learning_rates.py [--epochs 20] [--picture rates.png]
"""

import argparse

import numpy as np

import chainrule as cr
from chainrule.curves import Curve

RATES = {"far too small": 1e-4, "too small": 1e-3, "right": 0.1, "large": 1.0, "too large": 10.0}
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--picture", help="where to draw the losses")
options = parser.parse_args()
train, test = cr.data.load("digits")
model = cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10))
losses, accuracies = {}, {}
for name, rate in RATES.items():
    run = cr.fit(model, train, optimizer=cr.optimizers.SGD(rate), epochs=options.epochs)
    losses[name] = np.array([epoch["loss"] for epoch in run.history.epochs])
    accuracies[name] = run.evaluate(test)["accuracy"]
    if name in ("too small", "right", "too large"):
        steps = run.history.steps
        title = f"{name}: learning rate {rate:g}, loss of each batch"
        print(Curve(steps["step"], steps["loss"], title=title, under="step").drawn(rows=6), end="\n\n")

print(f"{'':14} learning rate   loss of epoch 1   of the last   test accuracy")
for name, rate in RATES.items():
    first, last = losses[name][[0, -1]]
    print(f"{name:14} {rate:13g} {first:17.4f} {last:13.4f} {accuracies[name]:15.1%}")

if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    axes = (drawn := figure()).subplots()
    for name, rate in RATES.items():
        axes.semilogy(range(1, options.epochs + 1), losses[name], ".-", label=f"{name}: {rate:g}")
    axes.set(xlabel="epoch", ylabel="loss", xticks=range(1, options.epochs + 1))
    axes.legend()
    print("wrote", save_picture(drawn, options.picture))
