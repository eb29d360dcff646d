"""What a network for digits looks at, measured: pixels that a method holds for important are taken away.

    python examples/looking_inside.py            simple_cnn on MNIST, a few minutes
    python examples/looking_inside.py --short    a smaller network on the small digits that come along
    python examples/looking_inside.py --picture FILE.png

Each method says which pixels of a sample speak for the class that it is taken for. The tenth of the pixels that it
names first are made black: the further the class's logit falls, the more the method knows of what the network uses.
On MNIST it falls by 2.87 at random, 8.53 by the gradient, 11.49 by occlusion and 13.97 by integrated gradients.
"""

from __future__ import annotations

import sys

import numpy as np

import chainrule as cr
from chainrule.explain import inside

short = "--short" in sys.argv
train, test = cr.data.load("digits" if short else "mnist", images=True)
small = cr.Chain(cr.Conv2D(12, 3, cr.relu), cr.MaxPool2D(2), cr.Conv2D(24, 3, cr.relu), cr.Flatten(), cr.Dense(10))
run = cr.fit(small if short else cr.models.simple_cnn(), train, epochs=3, optimizer=cr.optimizers.Adam(0.002),
             engine="reference" if short else None, progress=False)  # fmt: skip
print(f"{run.evaluate(test)['accuracy']:.2%} of {len(test):,} others right")

samples = test.inputs[: 10 if short else 100]
count, height, width, _ = samples.shape
logits = run.outputs(samples)
rows, said = np.arange(count), logits.argmax(axis=1)
maps = {
    "at random": cr.keys.Key(0).uniform((count, height, width)),
    "gradient": np.abs(inside.saliency(run, samples)),
    "SmoothGrad": np.abs(inside.smooth_saliency(run, samples)),
    "Grad-CAM": inside.enlarged(inside.grad_cam(run, samples), (height, width)),
    "occlusion": inside.occlusion(run, samples, stride=1 if short else 2),
    "integrated gradients": inside.integrated_gradients(run, samples),
}
taken, fallen = height * width // 10, {}
print(f"{taken} of {height * width} pixels made black   the logit falls by   still taken for the same")
for name, importance in maps.items():
    first = np.argsort(-importance.reshape(count, -1), axis=1, kind="stable")[:, :taken]
    covered = samples.reshape(count, -1).copy()
    np.put_along_axis(covered, first, 0, axis=1)
    after = run.outputs(covered.reshape(samples.shape))
    fallen[name] = float((logits - after)[rows, said].mean())
    print(f"{name:28}{fallen[name]:>18.2f}{(after.argmax(axis=1) == said).mean():>24.0%}")

parts = maps["integrated gradients"].sum(axis=(1, 2, 3))
gap = np.abs(parts - (logits - run.outputs(np.zeros_like(samples[:1])))[rows, said]).max()
print(f"integrated gradients sum to the logit less that of a black image, but for {gap:.4f} at most")
excited = inside.excite(run, limits=(0.0, 1.0), decay=0.0, blur=0.0).scores[:, -1]
print(f"the most that a sample says to each class: {run.outputs(test.inputs).max(axis=0).round(1)}")
print(f"what an image that is made for it says:    {excited.round(1)}\n\n{inside.mistakes(run, test, 5)}")
if "--picture" in sys.argv:
    wanted = [name for name in inside.WHAT if not short or name not in ("exciting", "map")]
    seen = run.look(test, int(inside.mistakes(run, test).indices[0]), wanted)
    print("\ndrawn in", seen.save(sys.argv[sys.argv.index("--picture") + 1])[0])
