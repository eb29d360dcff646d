"""An op of your own: arctan, which the list does not have, as an activation.

Its value in NumPy and its rule as graph are all there is to say; derivative of any order, gradient check, batching and
printed formula follow. Run it with: python examples/your_own_op.py
"""

import numpy as np

import chainrule as cr
from chainrule.engines.reference import ReferenceEngine
from chainrule.explain import check_graph
from chainrule.extending import define_op
from chainrule.graph import Graph

arctan = define_op("arctan", inputs="x", value=np.arctan, rule=lambda g, y, x: g / (1 + x**2))

print("its rule as a formula:", cr.gradients.formula("arctan"))
x = cr.graph.input("x", (3,), "float64")
(slope,) = cr.gradients.gradients(cr.graph.sum(arctan(x)), [x])
points = {"x": np.array([-2.0, 0.1, 1.5])}
print("first and second derivative are right:", check_graph(Graph({"y": arctan(x)}), points).passed,
      check_graph(Graph({"slope": slope}), points).passed)  # fmt: skip
many = cr.graph.vectorize(Graph({"slope": slope}), ["x"], 2)
print(
    "for two samples at once:", *ReferenceEngine().compile(many).run({"x": np.array([[0, 1, 2], [3, 4, 5.0]])})["slope"]
)

train, test = cr.data.load("digits")
run = cr.fit(cr.Chain(cr.Dense(32, arctan), cr.Dense(10)), train, epochs=10)
print(f"digits: gradients of the whole step are {run.check(test).worst:.0e} off")
print(f"        test accuracy {run.evaluate(test)['accuracy']:.1%}")
