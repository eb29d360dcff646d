"""The picture of descent: the price of a house as w times its size, and the way down to the best w.

One picture shows the loss over w, and descent with a learning rate that is too small, right and too large; the other
the loss over two parameters, and three ways of descent. Run it with: python examples/descent.py [folder]
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.explain.pictures import figure, save_picture

sizes = np.linspace(0.5, 2.4, 20)
prices = np.array([1.7, 0.9, 1.4, 2.5, 1.6, 1.9, 3.2, 2.2, 3.4, 2.5, 3.1, 4.3, 3.0, 4.6, 3.6, 4.0, 5.2, 4.3, 5.5, 4.7])
houses = {"sizes": sizes[:, None], "prices": prices[:, None]}  # made up: in 100 m², and in 100,000


def path(start, learning_rate, batch_size, epochs, bias=None):
    """The loss and the parameters before each step: whatever a step function gives is recorded."""
    constant = cr.initializers.Constant
    unit = cr.Chain(cr.Dense(1, None, bias is not None, constant(start), constant(bias or 0.0)))

    @cr.step
    def down(state, batch):
        loss = cr.losses.half_squared_error(state.apply(unit, batch["sizes"]), batch["prices"])
        now = {name: cr.graph.sum(value) for name, value in state.parameters(unit).items()}
        state.descend(loss, unit, cr.optimizers.SGD(learning_rate))
        return {"loss": loss, **now}

    return cr.fit(down, houses, batch_size=batch_size, epochs=epochs, dtype="float64").history.steps


def loss(w, b=0.0):
    """The loss over a grid of parameters, by NumPy: the ground that the paths should walk on."""
    return 0.5 * ((np.asarray(w)[..., None] * sizes + np.asarray(b)[..., None] - prices) ** 2).mean(-1)


folder = sys.argv[1] if len(sys.argv) > 1 else "pictures"
w = np.linspace(-4, 8.3, 200)
drawn = figure(12, 4.3)
for axes, name, rate in zip(drawn.subplots(1, 3), ("too small", "right", "too large"), (0.03, 0.3, 0.87), strict=True):
    axes.plot(w, loss(w), color="0.65", label="loss")
    steps = path(-0.6, rate, None, epochs=7)
    axes.plot(steps["0.weight"], steps["loss"], "o-", color="tab:red", markersize=4, label="7 steps of descent")
    axes.set(title=f"{name}: learning rate {rate}", xlabel="w: the price of 100 m²", ylabel="loss", ylim=(-1, 38))
drawn.axes[0].legend(loc="upper center")
print("wrote", save_picture(drawn, f"{folder}/descent-parabola.png"))

w, b = np.meshgrid(np.linspace(-1.2, 4.2, 120), np.linspace(-1.2, 3.6, 120))
drawn = figure(12, 4.4)
for axes, name, size in zip(drawn.subplots(1, 3), ("batch", "mini-batch", "stochastic"), (None, 5, 1), strict=True):
    steps = path(-0.8, 0.15, size, epochs=30, bias=2.8)
    axes.contour(w, b, loss(w, b), levels=np.geomspace(0.12, 12, 14), colors="0.75", linewidths=0.8)
    axes.plot(steps["0.weight"], steps["0.bias"], ".-", color="tab:red", linewidth=0.8, markersize=3, label="descent")
    axes.plot(*np.polyfit(sizes, prices, 1), "k+", markersize=13, label="the lowest loss")
    axes.set(title=f"{name}: {len(steps['loss'])} steps of {steps['samples'][0]}", xlabel="w", ylabel="b")
drawn.axes[0].legend(loc="lower left")
drawn.suptitle("30 epochs of 20 houses, learning rate 0.15: the same 600 samples, taken together or one by one")
print("wrote", save_picture(drawn, f"{folder}/descent-contours.png"))
