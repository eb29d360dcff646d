"""The perceptron with its own rule on the step function: it learns AND and OR, and can never learn XOR.

No gradient passes through a step, so Rosenblatt did not descend: he corrected the weights after each mistake, by
w ← w + (t - y)·x. Run it with: python examples/perceptron.py

Reference: F. Rosenblatt, "The perceptron: a probabilistic model for information storage", 1958.
"""

import numpy as np

import chainrule as cr

corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
tables = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}
unit = cr.Chain(cr.Dense(1, weight=cr.initializers.Constant(0.0)))


@cr.step
def rosenblatt(state, batch):
    z = state.apply(unit, batch["inputs"])
    mistake = cr.step_function(z) - batch["targets"]
    # The slope of this in w is -(t - y)·x, for the step y is a constant to it: one step down is Rosenblatt's rule.
    state.descend(cr.graph.sum(mistake * z), unit, cr.optimizers.SGD(learning_rate=1.0))
    return {"mistakes": cr.graph.sum(mistake**2)}


for name, outputs in tables.items():
    data = {"inputs": corners, "targets": np.array(outputs, np.float32)[:, None]}
    done = cr.training.StopAtLoss(0.0, monitor="mistakes")
    run = cr.fit(rosenblatt, data, batch_size=1, epochs=100, callbacks=[done])
    (w1, w2), (b,) = run.parameters["0.weight"].ravel(), run.parameters["0.bias"]
    said = (run.apply(unit, corners) >= 0).astype(int).ravel().tolist()
    verdict = f"learned in {run.epoch} epochs" if run.stopped else f"not learned in {run.epoch}: no line can part it"
    print(f"{name:3}  y = step({w1:+.0f}·x1 {w2:+.0f}·x2 {b:+.0f})  gives {said}, wanted {outputs}: {verdict}")
