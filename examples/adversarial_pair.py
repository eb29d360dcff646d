"""A generative adversarial pair on digits: one network draws, the other tells drawings from real digits.

Two models, two losses and two optimizers in one step: the judge descends first, and the artist, against the judge as it
is then. The picture shows drawings above real digits; it takes half a minute. Run it with:

    python examples/adversarial_pair.py [folder] [epochs]

Reference: I. Goodfellow and others, "Generative adversarial nets", 2014.
"""

import sys

import numpy as np

import chainrule as cr
from chainrule.explain.pictures import image_rows
from chainrule.keys import Key

folder = sys.argv[1] if len(sys.argv) > 1 else "pictures"
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 150
train, test = cr.data.load("digits")
artist = cr.Chain(cr.Dense(128, cr.leaky_relu), cr.Dense(128, cr.leaky_relu), cr.Dense(64, cr.sigmoid), name="artist")
judge = cr.Chain(cr.Dense(128, cr.leaky_relu), cr.Dense(64, cr.leaky_relu), cr.Dense(1), name="judge")
adam = cr.optimizers.Adam(learning_rate=0.001, beta1=0.5)
NOISE = 16


def judged(state, pictures, real):
    said = state.apply(judge, pictures)
    return cr.losses.binary_cross_entropy(said, cr.graph.full(said.shape, real, said.dtype))


@cr.step
def duel(state, batch):
    fake = state.apply(artist, state.normal((len(batch), NOISE)))
    judging = judged(state, batch.inputs, 0.9) + judged(state, cr.graph.stop_gradient(fake), 0.0)
    state.descend(judging, judge, adam)
    drawing = judged(state, fake, 1.0)
    state.descend(drawing, artist, adam)
    return {"judge_loss": judging, "artist_loss": drawing}


run = cr.fit(duel, train, epochs=epochs, batch_size=64)
for record in run.history.epochs[:: max(1, epochs // 5)]:
    print("epoch {epoch}: judge loss {judge_loss:.3f}, artist loss {artist_loss:.3f}".format(**record))
drawings = run.apply(artist, Key(1).normal((36, NOISE)).astype(np.float32))
real = test.preparation.forward(test.inputs[:12])
print("wrote", image_rows({"drawn": drawings, "real": real}, (8, 8), f"{folder}/adversarial-pair.png"))
