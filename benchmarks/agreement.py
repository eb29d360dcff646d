"""Does the native engine compute what the reference defines? 200 steps of MNIST on both, side by side.

    python benchmarks/agreement.py                # some seconds; exit code 1 if they differ more than they may
    python benchmarks/agreement.py --steps 1000

784-300-10, sigmoid units, cross-entropy, batches of 32, gradient descent with momentum: the network and the settings of
`benchmarks/mnist.py`. In float64 no loss may differ by more than 1e-9 of itself, and no weight by more than 1e-9 of the
largest in its array; in float32, which rounds ten million times as coarsely, by no more than 1e-3.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr

#: The largest difference that is allowed: of each loss, and of the weights at the end.
BARS = {"float64": (1e-9, 1e-9), "float32": (1e-3, 1e-3)}


def trained(engine: str, dtype: str, data: cr.data.Dataset) -> cr.Run:
    """One epoch on one engine."""
    model = cr.Chain(*([cr.Flatten()] if len(data.sample_shape) > 1 else []), cr.Dense(300, cr.sigmoid), cr.Dense(10))
    optimizer = cr.optimizers.SGD(0.1, momentum=0.9)
    return cr.fit(model, data, epochs=1, optimizer=optimizer, dtype=dtype, engine=engine, progress=False)


def largest_relative_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """max |one − other| / |other|."""
    return float(np.max(np.abs(one - other) / np.abs(other)))


def in_proportion(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> float:
    """The largest difference of a weight, in proportion to the largest weight of its array: many are close to zero."""
    return max(float(np.abs(one[path] - array).max() / np.abs(array).max()) for path, array in other.items())


def compare(dtype: str, data: cr.data.Dataset) -> bool:
    """Print the differences, and say whether they are small enough."""
    native, reference = (trained(engine, dtype, data) for engine in ("native", "reference"))
    curves = [run.history.steps["loss"] for run in (native, reference)]
    loss = largest_relative_difference(*curves)
    weights = in_proportion(native.parameters, reference.parameters)
    fine = loss <= BARS[dtype][0] and weights <= BARS[dtype][1]
    bars = [f" (at most {bar:g})" for bar in BARS[dtype]]
    print(
        f"{dtype}: {len(curves[1])} steps, loss {curves[1][0]:.4f} to {curves[1][-1]:.4f}; largest relative difference "
        f"of a loss {loss:.1e}{bars[0]}, of a weight {weights:.1e}{bars[1]}: {'agrees' if fine else 'DIFFERS'}",
        flush=True,
    )
    return fine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    train, _ = cr.data.load("mnist")
    if not 1 <= 32 * steps <= len(train):
        parser.error(f"--steps is a number from 1 to {len(train) // 32}")
    data = train.subset(np.arange(32 * steps))  # one epoch of these is as many steps
    agrees = [compare(dtype, data) for dtype in BARS]
    if not all(agrees):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
