"""Every number from 0 to 255, as eight bits, squeezed through four nodes and read back.

    8 bits -> 4 nodes (identity: the code) -> 16 nodes (tanh) -> 8 bits (sigmoid)

Why a second hidden layer: read straight from a code of h numbers, each bit is 1 on one side of a flat cut through
the h-dimensional space of codes. Eight flat cuts make at most Σ_{i≤h} C(8, i) pieces: 93 for h = 3, 163 for 4, 255
for 7. So no network 8-h-8 with h below 8 keeps all 256 numbers apart; the 16 nodes bend the cuts.

Settings: rate 0.2, 60 passes through the 256 numbers in order, a step after each; some seconds in plain Python.

    python examples/eight_bit.py
"""

from __future__ import annotations

from chainrule.neurons import Network


def bits(number: int) -> list[float]:
    """The eight bits of a number, the highest first."""
    return [float(number >> place & 1) for place in range(7, -1, -1)]


def read(outputs: list[float]) -> int:
    """The number whose bits these outputs are, each rounded at one half."""
    return sum((output > 0.5) << place for output, place in zip(outputs, range(7, -1, -1), strict=True))


samples = [bits(number) for number in range(256)]
network = Network([8, 4, 16, 8], activation=["identity", "tanh", "sigmoid"], seed=0)

print("passes   loss per number   numbers reproduced")
for passes in (0, 20, 40, 60):
    if passes:
        network.train(samples, samples, rate=0.2, iteration=20)
    loss = sum(network.loss(sample, sample) for sample in samples) / 256
    right = sum(read(network.predict(bits(number))) == number for number in range(256))
    print(f"{passes:6d}   {loss:15.5f}   {right:3d} of 256")

print("\nThe code layer is linear: the code of 0, and what each bit adds to it, make up all 256 codes.")
for number in [0, *(1 << place for place in range(8))]:
    network.predict(bits(number))
    code = [node.output for node in network.layers[1].nodes[:4]]
    print(f"{number:3d} = {number:08b} -> " + " ".join(f"{output:6.2f}" for output in code))

print(f"\naccuracy over all 256 numbers: {right / 256:.1%}")
