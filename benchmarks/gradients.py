"""The worst relative error of the gradient check, and how long it takes, for networks small and large.

python benchmarks/gradients.py
"""

from __future__ import annotations

import time

import numpy as np

import chainrule as cr


def main() -> None:
    digits, _ = cr.data.load("digits")
    key = np.random.default_rng(0)
    pixels = key.integers(0, 256, (256, 784), dtype=np.uint8)
    labels = key.integers(0, 10, 256).astype(np.int32)
    like_mnist = cr.data.from_arrays(pixels, labels, preparation=cr.data.Preparation(scale=1 / 255))
    cases = [
        ("digits 64-64-10, ReLU", cr.Chain(cr.Dense(64, cr.relu), cr.Dense(10)), digits),
        ("digits 64-32-32-10, tanh", cr.Chain(cr.Dense(32, cr.tanh), cr.Dense(32, cr.tanh), cr.Dense(10)), digits),
        ("784-300-10, sigmoid, 238,510 parameters", cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10)), like_mnist),
    ]
    for name, model, data in cases:
        run = cr.prepare(model, data)
        start = time.perf_counter()
        check = run.check(data)
        print(f"{name}: worst relative error {check.worst:.1e} in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
