"""An autoencoder: digits of 64 points squeezed through 10 numbers and drawn again, by a step of one's own.

Nobody says what the 10 numbers mean: the targets are the inputs. The picture shows digits that were not trained on, and
what came out. Run it with: python examples/autoencoder.py [folder]
"""

import sys

import chainrule as cr
from chainrule.explain.pictures import image_rows

train, test = cr.data.load("digits")
encoder = cr.Chain(cr.Dense(48, cr.relu), cr.Dense(10), name="encoder")
decoder = cr.Chain(cr.Dense(48, cr.relu), cr.Dense(64, cr.sigmoid), name="decoder")


@cr.step
def squeeze(state, batch):
    drawn = state.apply(decoder, state.apply(encoder, batch.inputs))
    loss = cr.losses.half_squared_error(drawn, batch.inputs)
    state.descend(loss, [encoder, decoder], cr.optimizers.Adam(0.003))
    return {"loss": loss}


@squeeze.evaluation
def measure(state, batch):
    drawn = state.apply(decoder, state.apply(encoder, batch.inputs))
    return {"squared_error": cr.losses.mean_squared_error.per_sample(drawn, batch.inputs)}


run = cr.fit(squeeze, train, epochs=40)
inputs = test.preparation.forward(test.inputs)
spread = inputs.var(axis=0).mean()
print(f"squared error a point: {run.evaluate(test)['squared_error']:.4f}; of drawing the mean digit: {spread:.4f}")

shown = inputs[:12]
codes = run.apply(encoder, shown)
print("the first digit as 10 numbers:", *codes[0].round(1))
drawings = run.apply(decoder, codes)
folder = sys.argv[1] if len(sys.argv) > 1 else "pictures"
print("wrote", image_rows({"in": shown, "out": drawings}, (8, 8), f"{folder}/autoencoder.png"))
