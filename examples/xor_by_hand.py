"""XOR with nodes and connections: check the gradients, train, and look at what was learned.

A single neuron cannot tell XOR's classes apart with one straight line; a hidden layer can. Eight hidden nodes
are more than XOR needs (two can do it), but from eight every seed that was tried gets there.

    python examples/xor_by_hand.py
"""

from __future__ import annotations

from chainrule.neurons import Network

samples = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
labels = [[0.0], [1.0], [1.0], [0.0]]

network = Network([2, 8, 1], seed=0)
error = network.gradient_check(labels[1], samples[1])
print(f"gradient check: worst relative error {error:.1e}")

print("\nsteps   loss, summed over the four samples")
for step in range(0, 16001, 2000):
    total = sum(network.loss(label, sample) for label, sample in zip(labels, samples, strict=True))
    print(f"{step:5d}   {total:.5f}")
    network.train(labels, samples, rate=1.0, iteration=500)

print("\n a   b   target   output")
for (a, b), (target,) in zip(samples, labels, strict=True):
    (output,) = network.predict([a, b])
    print(f"{a:.0f}   {b:.0f}   {target:6.0f}   {output:6.3f}   {'right' if round(output) == target else 'wrong'}")

print("\nthe connections into the first hidden node, the last one from the bias node:")
for connection in network.layers[1].nodes[0].upstream:
    print(connection)
