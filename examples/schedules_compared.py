"""Schedules of the learning rate compared on digits, and on waves with many local minima, which high rates leave.

41 points start side by side on the waves. Run it with: python examples/schedules_compared.py [--picture PATH]
"""

import argparse

import numpy as np

import chainrule as cr
from chainrule.curves import Curve
from chainrule.optimizers import SGD
from chainrule.optimizers.schedules import Cosine, OneCycle, Step, WarmRestarts, steps_per_epoch


class Points:
    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return scope.parameter("places", (41,), lambda key, shape: np.linspace(-4, 4, 41))


def waves(x, cos=np.cos):
    return 0.05 * (x - 2) ** 2 - 0.5 * cos(3 * x)  # the lowest valley is at 2.09


def schedules(rate, steps):
    return {
        "constant": rate,
        "step": Step(rate, 0.3, every=steps // 4),
        "cosine": Cosine(rate, steps),
        "one cycle": OneCycle(rate, steps),
        "warm restarts": WarmRestarts(rate, period=-(-steps // 7), growth=2),  # three periods: 1, 2 and 4 sevenths
    }


parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--picture", help="where to draw the loss with warm restarts")
options = parser.parse_args()
train, test = cr.data.load("digits")
model, points, races, lowest = cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10)), Points(), {}, {}
print(f"{'digits':26} loss   test accuracy")
for name, rate in schedules(0.2, options.epochs * steps_per_epoch(train, 32)).items():
    run = cr.fit(model, train, optimizer=SGD(rate, momentum=0.9), epochs=options.epochs)
    races[name] = [epoch["loss"] for epoch in run.history.epochs]
    print(f"{name:22} {races[name][-1]:8.4f} {run.evaluate(test)['accuracy']:15.1%}")

print("\nwaves, 300 steps          mean height   in the lowest valley")
for name, rate in {"constant, small": 0.05, **schedules(1.0, 300)}.items():

    @cr.step
    def down(state, batch, rate=rate):
        height = cr.graph.sum(waves(state.apply(points), cr.graph.cos))
        state.descend(height, points, SGD(rate))
        return {"height": height}

    ends = cr.fit(down, {"one": np.ones(1)}, steps=300).parameters["places"]
    lowest[name] = (abs(ends - 2.09) < 0.1).mean()
    print(f"{name:22} {waves(ends).mean():14.3f} {lowest[name]:22.0%}")
if options.picture:
    print("wrote", Curve(range(options.epochs), races["warm restarts"], "loss").plot(options.picture))
