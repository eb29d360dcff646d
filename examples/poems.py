"""Chinese poems: an LSTM reads 300 of the Tang and 300 of the Song, character by character, and writes on.

    python examples/poems.py [--epochs N] [--save FOLDER]
    python examples/poems.py --short     two poems that stand here, and few steps
"""

from __future__ import annotations

import math
import sys

import chainrule as cr
from chainrule.models import text as models

TWO = """\
靜夜思
牀前明月光，疑是地上霜。
舉頭望明月，低頭思故鄉。

登鸛雀樓
白日依山盡，黃河入海流。
欲窮千里目，更上一層樓。

"""


def after(option, otherwise):
    """What stands after an option on the command line."""
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else otherwise


short = "--short" in sys.argv
train, test = cr.data.language(TWO * 12, length=32) if short else cr.data.load("chinese-poetry", length=64)
symbols, epochs = train.preparation.symbols, int(after("--epochs", 12 if short else 20))
model = models.lstm_language(symbols, 64, units=64 if short else 256, dropout=0.0 if short else 0.3)
rate = cr.schedules.Cosine(0.01 if short else 0.003, epochs * math.ceil(len(train) / 32))
clipped = cr.optimizers.Compose(cr.optimizers.ClipGlobalNorm(1.0), cr.optimizers.Adam(rate))
best = cr.training.StopWithoutImprovement(patience=5, restore_best=True)
run = cr.fit(model, train, validation=test, optimizer=clipped, epochs=epochs, callbacks=[best], progress=False)
bits = {name: run.evaluate(part)["loss"] / math.log(2) for name, part in (("training", train), ("held out", test))}
print(f"{symbols:,} characters known; after {run.epoch} epochs, bits a character: "
      + ", ".join(f"{value:.2f} {name}" for name, value in bits.items()))  # fmt: skip
if "--save" in sys.argv:
    run.save(after("--save", ""))
for prompt in ("明月", "春風", "長江"):
    known = prompt if set(prompt) <= set(run.preparation.text.vocabulary.tokens) else "明月"
    print(f"\n--- {known}\n{run.generate(known, 20 if short else 60, temperature=0.8, top_p=0.9, seed=1)}")
