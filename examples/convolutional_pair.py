"""An adversarial pair of convolutional networks: one draws, the other judges, and what is drawn gets a score.

    python examples/convolutional_pair.py [--short] [--picture FILE.png] [mnist | fashion-mnist] [EPOCHS]

The score: how sure a classifier of real images is of drawings, and how evenly the classes come (1 to 10); and how far
what it sees in them is from what it sees in images (0: the same). A. Radford, L. Metz and S. Chintala, "Unsupervised
representation learning with deep convolutional generative adversarial networks", 2016.
"""

import functools
import sys

import numpy as np

import chainrule as cr
from chainrule.keys import Key

short, words = "--short" in sys.argv, [word for word in sys.argv[1:] if word[0] != "-" and ".png" not in word]
loaded = cr.data.load("digits" if short else [*words, "mnist"][0], images=True)
parts = [(np.float32(part.preparation.forward(part.inputs)), part.targets) for part in loaded]
train, test = (cr.data.from_arrays(x[:most], y[:most]) for (x, y), most in zip(parts, (20000, 2000), strict=True))
epochs, count = (2, 300) if short else (int([*words[1:], 6][0]), 2000)
side, NOISE, adam = train.inputs.shape[1] // 4, 64, cr.optimizers.Adam(0.0005, beta1=0.5)
leaky, norm, laid = functools.partial(cr.leaky_relu, slope=0.2), cr.BatchNorm, cr.ConvTranspose2D
body = [cr.Dense(64 * side**2, bias=False), cr.Reshape((side, side, 64)), norm(), cr.relu]
body += [laid(32, 4, stride=2, bias=False), norm(), cr.relu, laid(1, 4, cr.sigmoid, stride=2)]
eyes = [cr.Conv2D(32, 4, leaky, stride=2), cr.Conv2D(64, 4, stride=2, bias=False), norm(), leaky, cr.Flatten()]
artist, judge = cr.Chain(*body, name="artist"), cr.Chain(*eyes, cr.Dense(1), name="judge")
seen = cr.Chain(cr.Conv2D(16, 3, cr.relu, stride=2), cr.Conv2D(32, 3, cr.relu), cr.Flatten(), cr.Dense(64, cr.relu))
known = cr.fit(cr.Chain(seen, cr.Dense(10)), train, optimizer=cr.optimizers.Adam(), epochs=5, batch_size=64)


def judged(state, images, real):
    said = state.apply(judge, images)
    return cr.losses.binary_cross_entropy(said, cr.graph.full(said.shape, real, said.dtype))


@cr.step
def duel(state, batch):
    drawn = state.apply(artist, state.normal((len(batch), NOISE)))
    state.descend(judging := judged(state, batch.inputs, 0.9) + judged(state, drawn, 0.0), judge, adam)
    state.descend(drawing := judged(state, drawn, 1.0), artist, adam)
    return {"judge_loss": judging, "artist_loss": drawing}


rows, run, noise = {"real": train.inputs[:count]}, cr.prepare(duel, train, batch_size=64), Key(1).normal((count, NOISE))
for epoch in [0, *sorted({1, 2, epochs // 2, epochs} - {0})]:
    name = f"epoch {epoch}" if epoch else "real"
    images = rows[name] = run.fit(train, epochs=epoch).apply(artist, np.float32(noise)) if epoch else rows[name]
    said, far = known.probabilities(images), [known.apply(seen, some) for some in (images, test.inputs)]
    told = " ".join(f"{share:3.0%}" for share in np.bincount(said.argmax(axis=1), minlength=10) / count)
    score, distance = cr.metrics.inception_score(said), cr.metrics.frechet_distance(*far)
    print(f"{name:8} score {score:5.2f}, distance {distance:7.2f}, classes {told}", flush=True)
    if "--picture" in sys.argv:
        from chainrule.explain.pictures import image_rows

        shown, target = {name: some[:12] for name, some in rows.items()}, sys.argv[sys.argv.index("--picture") + 1]
        image_rows(shown, images.shape[1:3], target)
print([finding.name for finding in run.diagnose(test, curvature=False).findings] or "the diagnosis finds nothing")
