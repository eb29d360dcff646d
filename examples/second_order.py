"""K-FAC beside the best of a grid of momentum runs: an autoencoder of digits, equal first weights and batches.

It takes ten minutes, and the data set mnist; --short takes a small network on the built-in digits, and seconds.
Run it with: python examples/second_order.py [--short] [--picture PATH]
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.optimizers import KFAC, SGD

name, samples, batch, widths, rates, momenta, first, last = (
    ("digits", 1400, 200, (40, 20, 8), (0.003, 0.01, 0.03), (0.95,), 60, 200) if "--short" in sys.argv else
    ("mnist", 10_000, 500, (200, 100, 30), (0.0003, 0.001, 0.003, 0.006, 0.01), (0.9, 0.95, 0.99), 300, 1500)
)  # fmt: skip
train, _ = cr.data.load(name)
points = train.preparation.forward(train.inputs[:samples]).reshape(samples, -1).astype(np.float32)
points = (points - points.min()) / (points.max() - points.min())
data = cr.data.from_arrays(points, points)
# Sigmoids, but for a linear code in the middle and the logits at the end.
model = cr.Chain(*(cr.Dense(units, None if place in (2, 5) else cr.sigmoid, weight=cr.initializers.Sparse(15))
                   for place, units in enumerate((*widths, *widths[1::-1], points.shape[1]))))  # fmt: skip
settings = {"loss": cr.losses.binary_cross_entropy, "batch_size": batch, "progress": False}
span = samples // batch  # the steps of an epoch: a loss is the mean over so many, which are all samples


def learn(optimizer, steps, callbacks=()):
    history = cr.fit(model, data, optimizer=optimizer, steps=steps, callbacks=callbacks, **settings).history
    losses = np.convolve(history.column("loss"), np.full(span, 1 / span), mode="valid")
    return losses, np.cumsum(history.column("seconds"))[span - 1 :]


print(f"momentum: loss after {first} steps, by rate {rates}; and after {last}, of the best two")
curves = {}
for momentum, nesterov in [(momentum, nesterov) for momentum in momenta for nesterov in (False, True)]:
    row = {rate: learn(SGD(rate, momentum, nesterov), first)[0][-1] for rate in rates}
    two = {rate: SGD(rate, momentum, nesterov) for rate in sorted(row, key=row.get)[:2]}
    curves |= {optimizer: learn(optimizer, last) for optimizer in two.values()}
    print(f"{momentum}{', Nesterov' * nesterov:10}", *(f"{loss:7.1f}" for loss in row.values()), end="   ")
    print(*(f"{rate:g}: {curves[optimizer][0][-1]:.1f}" for rate, optimizer in two.items()), flush=True)
best, (path, _) = min(curves.items(), key=lambda item: item[1][0][-1])
goal = path[-1]
race = {"momentum": curves[best], "K-FAC": learn(KFAC(damping=10.0), last, [cr.training.StopAtLoss(goal)])}
print(f"the best: {best}\n\nloss    " + "".join(f"{who:>26}" for who in race))
for wanted in np.append(np.geomspace(max(losses[0] for losses, _ in race.values()), goal, 7)[1:-1], goal * 1.0001):
    at = {who: int(np.argmax(losses <= wanted)) for who, (losses, _) in race.items()}
    print(f"{wanted:8.1f}" + "".join(f"{at[who] + span:10} steps {race[who][1][at[who]]:7.2f} s" for who in race))
(few, short), (many, long) = ((at[who] + span, race[who][1][at[who]]) for who in ("K-FAC", "momentum"))
print(f"K-FAC wants {few / many:.3f} of the steps, and {short / long:.3f} of the seconds")
if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    left, right = (drawn := figure(8, 3.5)).subplots(1, 2, sharey=True)
    for who, (losses, seconds) in race.items():
        left.semilogy(np.arange(len(losses)) + span, losses, label=f"{who}, by step")
        right.semilogy(seconds, losses, label=f"{who}, by second")
        left.legend(), right.legend()
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
