"""Two inputs, two outputs, shared weights: are these two digits the same, and which digit is the left one?

One network, the eye, looks at both pictures with the same weights; a second compares what it saw, a third names the
left one. Two losses are added and descended together. Run it with: python examples/two_inputs.py
"""

import numpy as np

import chainrule as cr
from chainrule.graph.composites import absolute

train, test = cr.data.load("digits")
eye = cr.Chain(cr.Dense(64, cr.relu), cr.Dense(32, cr.relu), name="eye")
comparing = cr.Chain(cr.Dense(1), name="comparing")
naming = cr.Chain(cr.Dense(10), name="naming")


def pairs(data, count):
    """Pairs of digits, half of them of one class, as a dictionary of arrays: any step can take any arrays."""
    random = np.random.default_rng(0)
    left = random.integers(0, len(data), count)
    right = random.integers(0, len(data), count)
    for row in range(0, count, 2):
        right[row] = random.choice(np.flatnonzero(data.labels == data.labels[left[row]]))
    same = (data.labels[left] == data.labels[right]).astype(np.float32)[:, None]
    pictures = data.preparation.forward(data.inputs)
    return {"left": pictures[left], "right": pictures[right], "same": same, "digit": data.labels[left]}


def outputs(state, batch):
    left, right = state.apply(eye, batch["left"]), state.apply(eye, batch["right"])
    return state.apply(comparing, absolute(left - right)), state.apply(naming, left)


@cr.step
def look(state, batch):
    alike, name = outputs(state, batch)
    same = cr.losses.binary_cross_entropy(alike, batch["same"])
    digit = cr.losses.cross_entropy(name, batch["digit"])
    state.descend(same + digit, [eye, comparing, naming], cr.optimizers.Adam(0.002))
    return {"same": same, "digit": digit}


@look.evaluation
def right(state, batch):
    alike, name = outputs(state, batch)
    return {
        "same": cr.metrics.correct(cr.sigmoid(alike), batch["same"]),
        "digit": cr.metrics.correct(name, batch["digit"]),
    }


run = cr.fit(look, pairs(train, 4000), epochs=15, batch_size=64)
share = run.evaluate(pairs(test, 1000))
print(f"of 1000 new pairs: same or different right in {share['same']:.1%}, the left digit in {share['digit']:.1%}")
