"""A layer of your own: a gated one, y = σ(x·G + c) ∘ (x·W + b), which lets through what it thinks is worth it.

A layer is a dataclass with a method that is given a scope: the scope hands out parameters by name, and applies layers
within. Such a layer is saved and loaded by its name and settings. Run it with: python examples/your_own_layer.py
"""

import tempfile
from dataclasses import dataclass

import chainrule as cr
from chainrule import graph


@dataclass(frozen=True)
class Gated:
    units: int

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        (x,) = inputs
        gate = scope.apply(cr.Dense(self.units, cr.sigmoid), x, name="gate")  # a layer inside: "0.gate.weight"
        weight = scope.parameter("weight", (x.shape[-1], self.units), cr.initializers.Glorot())
        bias = scope.parameter("bias", (self.units,), cr.initializers.Constant(0.0))
        return gate * (x @ weight + graph.broadcast_to(bias, gate.shape))


train, test = cr.data.load("digits")
run = cr.fit(cr.Chain(Gated(32), cr.Dense(10)), train, epochs=15)
print(*(f"{path} {list(array.shape)}" for path, array in run.parameters.items()), sep="\n")
print(f"test accuracy {run.evaluate(test)['accuracy']:.1%}; worst gradient error {run.check(test).worst:.0e}")

with tempfile.TemporaryDirectory() as folder:
    again = cr.load(run.save(folder), custom=[Gated])
    print("loaded again, it says the same:", (again.outputs(test.inputs) == run.outputs(test.inputs)).all())
