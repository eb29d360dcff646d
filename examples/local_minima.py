"""Local minima: many seeds of a small network on XOR, by batch and by stochastic descent.

With two hidden units, as few as can do it, some first weights lead to where the loss is level and two of the corners
are taken for one. Run it with: python examples/local_minima.py [--short] [--picture PATH]
"""

import sys

import numpy as np

import chainrule as cr

seeds, steps, most = (12, 4000, 3) if "--short" in sys.argv else (50, 8000, 4)
corners, wanted = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], "float32"), np.array([[0], [1], [1], [0]], "float32")
xor = {"x": np.tile(corners, (500, 1)), "y": np.tile(wanted, (500, 1))}


def end(hidden, batch_size, seed):
    """The loss over the four corners after the last step."""
    model = cr.Chain(cr.Dense(hidden, cr.tanh, weight=cr.initializers.Normal(1.0)), cr.Dense(1))

    @cr.step
    def down(state, batch):
        loss = cr.losses.binary_cross_entropy(state.apply(model, batch["x"]), batch["y"])
        state.descend(loss, model, cr.optimizers.SGD(0.3))
        return {"loss": loss}

    # Unshuffled, four samples in a row are the four corners; one by one they come in an order drawn anew.
    run = cr.fit(down, xor, batch_size=batch_size, shuffle=batch_size == 1, steps=steps, seed=seed, progress=False)
    z = run.apply(model, corners)
    return float(np.logaddexp(0, np.where(wanted == 1, -z, z)).mean())


print("hidden units   descent      seeds stuck   the losses where they are stuck, and how often")
ends = {}
for hidden in range(2, most + 1):
    for name, batch_size in {"batch": 4, "stochastic": 1}.items():
        losses = ends[hidden, name] = np.array([end(hidden, batch_size, seed) for seed in range(seeds)])
        stuck = losses > 0.1
        places, counts = np.unique(losses[stuck].round(1), return_counts=True)
        where = ", ".join(f"{place:.1f}: {count}" for place, count in zip(places, counts, strict=True))
        print(f"{hidden:12}   {name:10} {stuck.sum():5} of {seeds:3}   {where or '-'}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure()
    axes = drawn.subplots()
    for (hidden, name), losses in ends.items():
        axes.plot(np.sort(losses), "-" if name == "batch" else "--", label=f"{hidden} units, {name}")
    axes.set(xlabel="seeds, from the best to the worst", ylabel="loss at the end", yscale="log")
    axes.legend()
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
