"""Autoencoders: digits squeezed through a few numbers and drawn again, in six ways, as pictures and in numbers.

    python examples/autoencoders.py [--short] [--picture FILE.png]     10,000 digits of MNIST; or small ones

Convolutional, denoising (a third of the points are hidden while it learns), sparse (each unit is on for a twentieth of
the digits) and variational (the code is drawn, and kept near the normal distribution, so that noise gives digits).
"""

import sys

import numpy as np

import chainrule as cr

short, Dense, Key, flat = "--short" in sys.argv, cr.Dense, cr.keys.Key, [cr.Flatten()]
parts = cr.data.load("digits" if short else "mnist", images=True)
images, others = (np.float32(part.preparation.forward(part.inputs[: 1400 if short else 10000])) for part in parts)
side, units = images.shape[1], 64 if short else 256


def dense(first, hidden, *last):
    return cr.Chain(*first, *(Dense(units, cr.relu) for _ in range(hidden)), *last)


drawn = Dense(side * side), cr.Reshape((side, side, 1))
seeing = [cr.Conv2D(16, 3, cr.relu, stride=2), cr.Conv2D(16, 3, cr.relu, stride=2), cr.Flatten(), Dense(16)]
small = [Dense(side * side, cr.relu), cr.Reshape((side // 4, side // 4, 16))]
laying = [*small, cr.ConvTranspose2D(16, 4, cr.relu, stride=2), cr.ConvTranspose2D(1, 4, stride=2)]
ways = {
    "dense, 16": (dense(flat, 1, Dense(16)), dense([], 1, *drawn)),
    "convolutional, 16": (cr.Chain(*seeing), cr.Chain(*laying)),
    "denoising, 16": (dense(flat, 1, Dense(16)), dense([], 1, *drawn), cr.Dropout(1 / 3)),
    "sparse": (cr.Chain(*flat, Dense(2 * units, cr.sigmoid), cr.Sparsity(0.05, 0.5)), cr.Chain(*drawn)),
    "dense, 2": (dense(flat, 2, Dense(2)), dense([], 2, *drawn)),
    "variational, 2": (dense(flat, 2, Dense(4), cr.GaussianCode()), dense([], 2, *drawn)),
}
hidden = others * (Key(2).uniform(others.shape) > 1 / 3)
pairs, test, noisy = (cr.data.from_arrays(x, y) for x, y in ((images, images), (others, others), (hidden, others)))
pace = {"epochs": 15, "batch_size": 100, "optimizer": cr.optimizers.Adam(0.005 if short else 0.002)}
rows, codes = {"to be drawn": others[:12], "a third hidden": hidden[:12]}, {}
mean = f"\n{'the mean digit':34} {np.mean((images.mean(axis=0) - others) ** 2):.4f}"
print(f"{'squared error of others':42} and with a third hidden{mean}")
for name, (encoder, decode, *before) in ways.items():
    run = cr.fit(cr.Chain(*before, encoder, decode), pairs, loss=cr.losses.binary_cross_entropy, **pace)
    out = [run.probabilities(data.inputs) for data in (test, noisy)]
    print(f"{name:34} {np.mean((out[0] - others) ** 2):.4f}  {np.mean((out[1] - others) ** 2):.4f}", flush=True)
    rows[name], codes[name] = out[len(before)][:12], run.apply(encoder, others)
    if name == "variational, 2":
        print("in nats, added being for the code:", {key: round(value, 1) for key, value in run.evaluate(test).items()})
        rows["noise, decoded"] = 1 / (1 + np.exp(-run.apply(decode, np.float32(Key(3).normal((12, 2))))))
print(f"sparse: the mean activation is {codes['sparse'].mean():.3f}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, image_rows, save_picture

    target, drawn = sys.argv[sys.argv.index("--picture") + 1], figure(12, 5)
    for axes, name in zip(drawn.subplots(1, 2), ("dense, 2", "variational, 2"), strict=True):
        dots = axes.scatter(*codes[name].T, c=parts[1].targets[: len(others)], s=4, cmap="tab10")
        drawn.colorbar(dots, ax=axes.set(title=f"{name}: codes of digits that were not learned from") and axes)
    print("wrote", image_rows(rows, (side, side), target), save_picture(drawn, target.replace(".png", "-codes.png")))
