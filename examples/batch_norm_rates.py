"""Batch normalisation: the learning rates at which a network of ten hidden layers learns, with it and without.

Ten epochs of digits at each rate. The range in which it works becomes many times wider, and begins lower.
Run it with: python examples/batch_norm_rates.py [--short] [--picture PATH]
"""

import sys

import chainrule as cr

train, test = cr.data.load("digits")
rates = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
settings = {"epochs": 10, "progress": False}
if "--short" in sys.argv:  # to compile ten layers would take longer than to train them
    rates, settings = [0.01, 0.1, 1.0], {"epochs": 3, "progress": False, "engine": "reference"}


def accuracy(rate, normalised):
    """The accuracy on the test part after learning at this rate; None where the loss did not stay finite."""
    layers = []
    for _ in range(10):
        layers += [cr.Dense(32, bias=False), cr.BatchNorm(), cr.relu] if normalised else [cr.Dense(32, cr.relu)]
    model, optimizer = cr.Chain(*layers, cr.Dense(10)), cr.optimizers.SGD(rate)
    try:
        return cr.fit(model, train, optimizer=optimizer, **settings).evaluate(test)["accuracy"]
    except cr.errors.NotFiniteError:
        return None


found = {}
print("learning rate     without   with batch normalisation")
for rate in rates:
    found[rate] = accuracy(rate, False), accuracy(rate, True)
    without, with_it = ("not finite" if share is None else f"{share:.1%}" for share in found[rate])
    print(f"{rate:13g} {without:>11} {with_it:>26}")

if "--picture" in sys.argv:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure()
    axes = drawn.subplots()
    for place, name in enumerate(["without", "with batch normalisation"]):
        axes.semilogx(rates, [found[rate][place] or 0.0 for rate in rates], "o-", label=name)
    axes.set(
        xlabel="learning rate", ylabel=f"test accuracy after {settings['epochs']} epochs (0: the loss was not finite)"
    )
    axes.legend()
    print("wrote", save_picture(drawn, sys.argv[sys.argv.index("--picture") + 1]))
