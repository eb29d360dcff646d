"""Universal approximation: a curve fitted by ever wider hidden layers, and the error against the width.

One hidden layer comes as near to any continuous curve as one likes, if it is wide enough. That is said of the best
weights there are; descent has to find them. Run it with: python examples/approximation.py [--short] [--picture PATH]
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.curves import Curve

x = np.linspace(-1, 1, 4096)
wanted = np.sin(3 * np.pi * x) * np.exp(-x) + abs(x)  # waves that die away, and a corner
curve = {"x": x[:, None], "y": wanted[:, None]}
widths = [1, 2, 4, 8, 16, 32, 64]
steps, seeds = (1000, 2) if "--short" in sys.argv else (8000, 3)


def fitted(width, seed):
    """What a hidden layer of this width has made of the curve."""
    spread = cr.initializers.Uniform(8.0)  # so that the units bend in different places from the start
    model = cr.Chain(cr.Dense(width, cr.tanh, weight=spread, bias_start=spread), cr.Dense(1))

    @cr.step
    def near(state, batch):
        loss = cr.losses.mean_squared_error(state.apply(model, batch["x"]), batch["y"])
        state.descend(loss, model, cr.optimizers.Adam(cr.schedules.Cosine(0.03, steps)))
        return {"loss": loss}

    return cr.fit(near, curve, batch_size=256, steps=steps, seed=seed, progress=False).apply(model, curve["x"])[:, 0]


print("width   parameters   root of the mean squared error: best seed   worst")
best, errors = {}, []
for width in widths:
    tries = [fitted(width, seed) for seed in range(seeds)]
    error = [float(np.sqrt(((y - wanted) ** 2).mean())) for y in tries]
    best[width] = tries[int(np.argmin(error))]
    errors.append(min(error))
    print(f"{width:5} {3 * width + 1:12} {min(error):43.5f} {max(error):7.5f}")

print("\n" + Curve(x, wanted, title="the curve").drawn(rows=8))
for width in (2, 8, 64):
    print("\n" + Curve(x, best[width], title=f"{width} hidden units").drawn(rows=8))

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(12, 4.5)
    left, right = drawn.subplots(1, 2)
    left.plot(x, wanted, "k", linewidth=3, alpha=0.3, label="the curve")
    for width in (2, 8, 64):
        left.plot(x, best[width], label=f"{width} hidden units")
    left.legend()
    right.loglog(widths, errors, "o-")
    right.set(xlabel="hidden units", ylabel="root of the mean squared error")
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
