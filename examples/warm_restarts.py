"""Warm restarts leave local minima: each time the rate leaps up, points are thrown out of their valleys.

200 points go down waves with five valleys, by gradients with a little noise, as those of batches have it. A small rate
ends where it began, a large one never rests, one that falls once has one chance; and each restart is one more. Run it
with: python examples/warm_restarts.py [--picture PATH]
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.graph.composites import absolute, mean
from chainrule.optimizers.schedules import Cosine, WarmRestarts

PERIOD, STEPS = 40, 241
RATES = {
    "small": 0.05,
    "large": 0.8,
    "falling once": Cosine(0.8, PERIOD),
    "warm restarts": WarmRestarts(0.8, PERIOD),
}


class Points:
    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return scope.parameter("places", (200,), lambda key, shape: np.linspace(-4, 4, 200))


def waves(x, cos=np.cos):
    return 0.05 * (x - 2) ** 2 - 0.5 * cos(3 * x)  # the lowest valley is at 2.09


points, shares, paths = Points(), {}, {}
print("in the lowest valley", *(f"{step:6}" for step in range(PERIOD, STEPS, PERIOD)), "steps")
for name, rate in RATES.items():

    @cr.step
    def down(state, batch, rate=rate):
        places = state.apply(points)
        noise = 0.3 * cr.graph.sum(places * state.normal((200,)))  # its gradient is the noise
        state.descend(cr.graph.sum(waves(places, cr.graph.cos)) + noise, points, cr.optimizers.SGD(rate))
        inside = cr.graph.cast(absolute(places - 2.09) < 0.3, "float32")
        return {"share": mean(inside), **{f"place {n}": places[n * 40] for n in range(5)}}

    steps = cr.fit(down, {"one": np.ones(1)}, steps=STEPS).history.steps
    shares[name], paths[name] = steps["share"], [steps[f"place {n}"] for n in range(5)]
    print(f"{name:20}", *(f"{share:6.0%}" for share in shares[name][PERIOD::PERIOD]))

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn, x = figure(14, 4), np.linspace(-5, 6, 200)
    for axes, name in zip(drawn.subplots(1, 4, sharey=True), RATES, strict=True):
        axes.contourf(np.arange(STEPS), x, np.tile(waves(x)[:, None], STEPS), 20, cmap="Greys")
        axes.plot(np.transpose(paths[name]), lw=1)
        axes.set(title=name, xlabel="step", ylabel="place of five points; dark is high" if name == "small" else None)
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
