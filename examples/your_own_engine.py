"""An engine of your own: one that rounds every number to 16 bits after each op, as a small chip would.

An engine compiles a graph and runs it, and knows nothing of layers or gradients: so it can train at once. It has a
table of ops, and refuses another by name when it compiles. Run it with: python examples/your_own_engine.py
"""

import numpy as np

import chainrule as cr
from chainrule.engines.protocol import Program, check_arrays
from chainrule.errors import EngineError

VALUES = {
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "exp": np.exp},
    **{"log": np.log, "lt": np.less, "le": np.less_equal, "eq": np.equal, "and": np.logical_and, "select": np.where},
    "stop_gradient": lambda x: x,
    "cast": lambda x, dtype: x.astype(dtype),
    "constant": lambda value: value,
    "iota": lambda size, dtype: np.arange(size, dtype=dtype),
    "power": lambda x, exponent: x**exponent,
    **{"sum": lambda x, axes: x.sum(axes), "max": lambda x, axes: x.max(axes)},
    "argmax": lambda x, axes: x.argmax(*axes),
    "gather": lambda x, index, axis, batch: x.take(index, axis),
    "broadcast": lambda x, axes, sizes: np.expand_dims(x, axes),  # the new axes still have length 1; see below
    "contract": lambda a, b, a_axes, b_axes, out_axes: np.einsum(a, a_axes, b, b_axes, out_axes),
}


class SixteenBits:
    name = "16 bits"

    def compile(self, graph):
        if lacking := sorted({node.op for node in graph.nodes} - {"input", *VALUES}):
            raise EngineError(f"the engine of {self.name} lacks the ops {', '.join(lacking)}")
        return Rounding(graph)


class Rounding(Program):
    def __init__(self, graph):
        self.graph, self.order = graph, graph.nodes

    def run(self, arrays):
        check_arrays(self.graph, arrays)
        values = {node: arrays[name] for name, node in self.graph.inputs.items()}
        for node in self.order:
            if node not in values:
                value = VALUES[node.op](*(values[below] for below in node.inputs), **node.attributes)
                short = value.astype(np.float16) if node.dtype == "float32" else value
                values[node] = np.broadcast_to(short, node.shape).astype(node.dtype)
        return {name: values[node] for name, node in self.graph.outputs.items()}


train, test = cr.data.load("digits")
for engine in ("reference", SixteenBits()):
    run = cr.fit(cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10)), train, epochs=10, engine=engine)
    print(f"{run.engine.name:9}  test accuracy {run.evaluate(test)['accuracy']:.1%}")
try:
    cr.fit(cr.Chain(cr.Dense(32, cr.tanh), cr.Dense(10)), train, engine=SixteenBits())
except EngineError as error:
    print("refused:  ", error)
