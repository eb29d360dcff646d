"""A race of optimizers on digits: the same first weights and batches, and each with a learning rate that suits it.

Run it with: python examples/optimizer_race.py [--epochs 10] [--picture race.png]
"""

import argparse

import chainrule as cr
from chainrule.optimizers import SGD, AdaGrad, Adam, AdamW, Lion, NAdam, RMSprop

RACERS = {
    "plain": SGD(0.3),
    "momentum": SGD(0.05, momentum=0.9),
    "Nesterov": SGD(0.05, momentum=0.9, nesterov=True),
    "AdaGrad": AdaGrad(0.03),
    "RMSprop": RMSprop(0.003),
    "Adam": Adam(0.01),
    "AdamW": AdamW(0.01, weight_decay=0.01),
    "NAdam": NAdam(0.01),
    "Lion": Lion(0.001),
}
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--picture", help="where to draw the losses")
options = parser.parse_args()
train, test = cr.data.load("digits")
model = cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10))
race = {}
print(f"{'test accuracy':15}", *(f"epoch {epoch:2}" for epoch in range(1, options.epochs + 1)), "  loss at last")
for name, optimizer in RACERS.items():
    run = cr.fit(model, train, validation=test, optimizer=optimizer, epochs=options.epochs)
    race[name] = run.history.epochs
    print(f"{name:15}", *(f"{epoch['validation_accuracy']:8.1%}" for epoch in race[name]), end="")
    print(f"{race[name][-1]['loss']:15.4f}")

if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    axes = (drawn := figure()).subplots()
    for name, epochs in race.items():
        axes.semilogy([epoch["epoch"] for epoch in epochs], [epoch["loss"] for epoch in epochs], ".-", label=name)
    axes.set(xlabel="epoch", ylabel="loss on the training data")
    axes.legend()
    print("wrote", save_picture(drawn, options.picture))
