"""A language model of characters: an LSTM and a transformer learn to write as Shakespeare did.

    python examples/shakespeare.py [--transformer] [--epochs N] [--save FOLDER]
    python examples/shakespeare.py --short     a few lines that stand here, and few steps

Each character of the last tenth of the text is told from those before it; bits a character say how well.
"""

from __future__ import annotations

import math
import sys

import chainrule as cr
from chainrule.models import text as models

LINES = """\
To be, or not to be, that is the question:
Whether 'tis nobler in the mind to suffer
The slings and arrows of outrageous fortune,
Or to take arms against a sea of troubles
And by opposing end them. To die, to sleep.
"""


def after(option, otherwise):
    """What stands after an option on the command line."""
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else otherwise


short = "--short" in sys.argv
train, test = cr.data.language(LINES * 8, length=16) if short else cr.data.load("tinyshakespeare", length=64)
symbols, length = train.preparation.symbols, train.preparation.text.length
name = "transformer" if "--transformer" in sys.argv else "lstm"
model = models.LANGUAGE[name](symbols, length)
epochs = int(after("--epochs", 2 if short else 6))
#: Of 0.001, 0.002 and 0.003 the best rate of the transformer on the end of the training part, held out, in 500 steps.
batch, first = (32, 0.003) if name == "lstm" else (16, 0.002)
rate = cr.schedules.Cosine(first, epochs * math.ceil(len(train) / batch))
clipped = cr.optimizers.Compose(cr.optimizers.ClipGlobalNorm(1.0), cr.optimizers.Adam(rate))


def tell(run, record):
    """Bits a character after an epoch."""
    learned, held_out = record["loss"] / math.log(2), record["validation_loss"] / math.log(2)
    print(f"epoch {record['epoch']:2} {record['seconds']:7.1f} s  {learned:.3f} bits, held out {held_out:.3f}")


run = cr.fit(model, train, validation=test, optimizer=clipped, epochs=epochs, batch_size=batch, progress=False,
             callbacks=[cr.training.OnEpoch(tell)])  # fmt: skip
bits = run.evaluate(test)["loss"] / math.log(2)
print(f"{name}: {sum(array.size for array in run.parameters.values()):,} parameters, {bits:.3f} bits a character\n")
if "--save" in sys.argv:
    run.save(after("--save", ""))
for settings in ({"temperature": 1.0}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.9}):
    print(f"--- {settings}\n{run.generate('To be', 40 if short else 200, **settings)}\n")
