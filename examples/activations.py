"""Four activations and their derivatives, which nobody wrote down here: they are taken from the graph.

The sum of f(x) over many x has f'(x) as its gradient by each x. Where a derivative is near 0 a unit learns no more; a
leaky ReLU has no such place. Run it with: python examples/activations.py [--picture activations.png]
"""

import sys

import numpy as np

import chainrule as cr
from chainrule import graph
from chainrule.curves import Curve
from chainrule.engines.reference import ReferenceEngine

activations = {"sigmoid": cr.sigmoid, "tanh": cr.tanh, "ReLU": cr.relu, "leaky ReLU": cr.leaky_relu}


def with_derivative(activation, points):
    """The values of an activation at some points, and of its derivative there."""
    x = graph.input("x", points.shape, "float64")
    y = activation(x)
    (slope,) = cr.gradients.gradients(graph.sum(y), [x])
    found = ReferenceEngine().compile(graph.Graph({"value": y, "slope": slope})).run({"x": points})
    return found["value"], found["slope"]


points = np.array([-10, -4, -2, -1, 0, 1, 2, 4, 10], float)
table = {name: with_derivative(activation, points) for name, activation in activations.items()}
for number, title in enumerate(["f(x)", "f'(x), as the backward pass has it"]):
    print(f"\n{title:12}" if number else f"{title:12}", *(f"{x:9g}" for x in points) if not number else "")
    for name, found in table.items():
        print(f"{name:12}", *(f"{value:9.5f}" for value in found[number]))

print("\n20 layers deep, a gradient is multiplied by f' 20 times; at its largest that gives")
for name, (_, slope) in table.items():
    print(f"{name:12} {slope.max():g}^20 = {slope.max() ** 20:.3g}")

x = np.linspace(-5, 5, 201)
for name, activation in activations.items():
    for values, title in zip(with_derivative(activation, x), (name, f"its derivative: {name}'"), strict=True):
        print("\n" + Curve(x, values, title=title).drawn(width=60, rows=6))

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(12, 3.5)
    for axes, (name, activation) in zip(drawn.subplots(1, 4), activations.items(), strict=True):
        value, slope = with_derivative(activation, x)
        axes.plot(x, value, label="f")
        axes.plot(x, slope, "--", label="f'")
        axes.set(title=name, xlabel="x", ylim=(-1.2, 1.6))
        axes.legend()
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
