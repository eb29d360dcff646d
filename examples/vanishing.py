"""Vanishing gradients: 20 layers of sigmoids learn nothing, and the same depth rescued in four ways.

A sigmoid's slope is 1/4 at most, so little goes back through 20: the gradient norm of each weight in the first step.
Run it with: python examples/vanishing.py [--epochs 20] [--engine reference, quicker for few epochs] [--picture PATH]
"""

import argparse
from dataclasses import dataclass

import chainrule as cr
from chainrule.graph.composites import sqrt

UNITS, SHOWN = 32, (0, 4, 9, 14, 19)


@dataclass(frozen=True)
class Residual:
    layer: cr.Dense

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return inputs[0] + scope.apply(self.layer, *inputs, name="layer")  # the gradient has a way past the layer


HIDDEN = {
    "sigmoid": lambda: cr.Dense(UNITS, cr.sigmoid),
    "ReLU and He": lambda: cr.Dense(UNITS, cr.relu, weight=cr.initializers.He()),
    "batch norm": lambda: cr.Chain(cr.Dense(UNITS, bias=False), cr.BatchNorm(), cr.sigmoid),
    "layer norm": lambda: cr.Chain(cr.Dense(UNITS, cr.sigmoid), cr.LayerNorm()),
    "residual": lambda: Residual(cr.Dense(UNITS, cr.sigmoid)),
}
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--engine", help="native or reference")
parser.add_argument("--picture", help="where to draw the gradient norms by depth")
options = parser.parse_args()
train, test = cr.data.load("digits")
norms, accuracies = {}, {}
print("gradient norm, layer", *(f"{layer + 1:8}" for layer in SHOWN), "  test accuracy")
for name, hidden in HIDDEN.items():
    model = cr.Chain(cr.Dense(UNITS), *(hidden() for _ in range(20)), cr.Dense(10))

    @cr.step
    def step(state, batch, model=model):
        loss = cr.losses.cross_entropy(state.apply(model, batch.inputs), batch.targets)
        state.descend(loss, model, cr.optimizers.SGD(0.005, momentum=0.9))
        return {path: sqrt(cr.graph.sum(slope**2)) for path, slope in state.descents[0].gradients.items()}

    run = cr.fit(step, train, epochs=options.epochs, engine=options.engine)
    norms[name] = [column[0] for path, column in run.history.steps.items() if path.endswith("weight")][1:-1]
    outputs = run.apply(model, test.preparation.forward(test.inputs))
    accuracies[name] = (outputs.argmax(axis=1) == test.labels).mean()
    print(f"{name:20}", *(f"{norms[name][layer]:8.0e}" for layer in SHOWN), f"{accuracies[name]:12.1%}")
if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    axes = (drawn := figure()).subplots()
    for name, column in norms.items():
        axes.semilogy(range(1, 21), column, ".-", label=name)
    axes.legend(title="gradient norm by layer, in the first step")
    print("wrote", save_picture(drawn, options.picture))
