"""The batch size, from one sample to all: noise of the gradient, speed, memory, and how far one comes.

A batch's gradient is the whole one plus noise, so its mean square is |whole|² + noise², and noise falls as 1/√(batch
size). It is measured at the first weights. The bytes are those of a step's intermediate values, as the compiled program
planned them; the speed is that of the best epoch. The runs go through the digits equally often, so small batches take
more steps. Run it with: python examples/batch_sizes.py [--epochs 20] [--picture batch-sizes.png]
"""

import argparse

import numpy as np

import chainrule as cr

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--picture", help="where to draw noise, speed, memory and accuracy")
options = parser.parse_args()
train, test = cr.data.load("digits")
model = cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10))


def mean_square(size):
    """Of the gradients of many batches, all at the first weights: with a learning rate of 0 nothing moves."""
    run = cr.fit(model, train, batch_size=size, epochs=4, optimizer=cr.optimizers.SGD(0.0))
    return np.mean(run.history.steps["gradient_norm"] ** 2)


whole = mean_square(None)
sizes, table = (1, 4, 16, 64, 256, len(train)), {}
columns = (
    "noise / gradient",
    "steps",
    "steps a second",
    "samples a second",
    "bytes of a step",
    "loss",
    "test accuracy",
)
print("batch size", *(f"{column:>16}" for column in columns))
for size in sizes:
    run = cr.fit(model, train, batch_size=size, epochs=options.epochs, optimizer=cr.optimizers.SGD(0.1))
    last = run.history.epochs[-1]
    noise = np.sqrt(max(mean_square(size) - whole, 0) / whole)
    samples = max(record["samples_per_second"] for record in run.history.epochs)
    arena = run.built(run.spec, size)[1].plan.arena
    row = (noise, len(run.history), samples / size, samples, arena, last["loss"], run.evaluate(test)["accuracy"])
    table[size] = dict(zip(columns, row, strict=True))
    print("{:10} {:16.2f} {:16,} {:16,.0f} {:16,.0f} {:16,} {:16.3f} {:16.1%}".format(size, *row))

if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(14, 3.6)
    for axes, column in zip(drawn.subplots(1, 4), (columns[0], *columns[3:5], columns[6]), strict=True):
        axes.semilogx(sizes, [table[size][column] for size in sizes], "o-")
        axes.set(title=column, xlabel="batch size", ylim=(0, None))
    print("wrote", save_picture(drawn, options.picture))
