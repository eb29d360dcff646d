"""An output that is sure and wrong: squared error teaches it next to nothing, cross-entropy at once.

With E = ½(s - 1)², ∂E/∂z = (s - 1)·s·(1 - s), and s·(1 - s) is near 0 where a sigmoid is saturated; with cross-entropy
that factor is gone, and ∂E/∂z = s - 1. Run it with: python examples/saturated_output.py [--picture PATH]
"""

import sys

import numpy as np

import chainrule as cr

most = 4096
samples = {"x": np.ones((most, 1)), "y": np.ones((most, 1))}  # the same sample for each step: 1 in, and 1 wanted
losses = {
    "squared error": lambda z, y: cr.losses.half_squared_error(cr.sigmoid(z), y),
    "cross-entropy": cr.losses.binary_cross_entropy,
}


def descent(loss_of, start):
    """What the unit said, and the gradient by its weighted sum, before each step."""
    unit = cr.Dense(1, bias=False, weight=cr.initializers.Constant(start))

    @cr.step
    def down(state, batch):
        z = state.apply(unit, batch["x"])
        loss = loss_of(z, batch["y"])
        (slope,) = cr.gradients.gradients(loss, [z])
        state.descend(loss, unit, cr.optimizers.SGD(1.0))
        return {"said": cr.graph.sum(cr.sigmoid(z)), "slope": cr.graph.sum(slope)}

    return cr.fit(down, samples, batch_size=1, epochs=1, dtype="float64", progress=False).history.steps


paths = {}
print("starts at    loss            gradient at first   steps until it says more than 0.5")
for start in (0.0, -2.0, -4.0, -6.0, -8.0, -10.0):
    for name, loss_of in losses.items():
        steps = paths[name, start] = descent(loss_of, start)
        right = np.flatnonzero(steps["said"] > 0.5)
        when = f"{right[0]}" if len(right) else f"not in {most}"
        print(f"{steps['said'][0]:9.6f}    {name} {steps['slope'][0]:19.6f} {when:>35}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(9, 4)
    axes = drawn.subplots()
    for name in losses:
        axes.semilogx(np.arange(1, most + 1), paths[name, -6.0]["said"], label=name)
    axes.set(title="from 0.0025 towards 1, with a learning rate of 1", xlabel="steps", ylabel="what the unit says")
    axes.legend()
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
