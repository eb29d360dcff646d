"""The optimizers' paths on a ravine, past a saddle and through Rosenbrock's valley.

The model is a point of two parameters. Run it with: python examples/optimizer_paths.py [--picture paths.png]
"""

import sys
from dataclasses import dataclass

import numpy as np

import chainrule as cr
from chainrule.optimizers import SGD, AdaGrad, Adam, RMSprop


@dataclass(frozen=True)
class Point:
    start: tuple[float, float]

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return scope.parameter("place", (2,), lambda key, shape: np.array(self.start, float))


GROUNDS = {  # a height, where one starts, and the steps to show
    "ravine": (lambda p: 0.5 * p[0] ** 2 + 10 * p[1] ** 2, (-4, 1), [0, 6, 18, 30, 60]),
    "saddle": (lambda p: p[0] ** 2 / 2 + p[1] ** 4 / 4 - p[1] ** 2 / 2, (-2, 0.001), [0, 6, 18, 30, 60]),
    "Rosenbrock": (lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2, (-1.2, 1), [0, 100, 300, 500, 1000]),
}
WAYS = {
    "plain": (SGD, (0.08, 0.1, 0.001)),
    "momentum": (lambda rate: SGD(rate, momentum=0.9), (0.02, 0.1, 0.0005)),
    "AdaGrad": (AdaGrad, (0.5, 0.1, 0.5)),
    "RMSprop": (RMSprop, (0.05, 0.05, 0.01)),
    "Adam": (Adam, (0.3, 0.1, 0.05)),
}
picture, paths = sys.argv[2] if sys.argv[1:2] == ["--picture"] else None, {}
for number, (ground, (height, start, shown)) in enumerate(GROUNDS.items()):
    print(f"{ground:10} height at step", *(f"{step:8}" for step in shown))
    for name, (make, rates) in WAYS.items():

        @cr.step
        def down(state, batch, height=height, point=Point(start), make=make, rate=rates[number]):
            place = state.apply(point)
            state.descend(height(place), point, make(rate))
            return {"height": height(place), "x": place[0], "y": place[1]}

        paths[ground, name] = path = cr.fit(down, {"one": np.ones(1)}, steps=shown[-1] + 1).history.steps
        print(f"{name:25}", *(f"{value:8.3f}" for value in path["height"][shown]))

if picture:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(14, 4.5)
    for axes, (ground, (height, _, _)) in zip(drawn.subplots(1, 3), GROUNDS.items(), strict=True):
        for name in WAYS:
            axes.plot(paths[ground, name]["x"], paths[ground, name]["y"], ".-", label=name, linewidth=1, markersize=3)
        x, y = np.meshgrid(np.linspace(*axes.get_xlim(), 150), np.linspace(*axes.get_ylim(), 150))
        axes.contour(x, y, np.log(height((x, y)) + 0.3), levels=15, colors="0.75", linewidths=0.8)
        axes.set_title(ground)
    drawn.axes[0].legend()
    print("wrote", save_picture(drawn, picture))
