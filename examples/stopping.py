"""When to stop: after some epochs, at a loss, on level ground, or when nothing gets better.

A stop is a callback; a run says why it ended, and can be gone on with. Run it with: python examples/stopping.py
"""

import chainrule as cr

train, test = cr.data.load("digits")
stops = {
    "epochs": [],
    "loss threshold": [cr.training.StopAtLoss(0.05)],
    "gradient norm": [cr.training.StopAtGradient(0.1)],
    "no improvement": [cr.training.StopWithoutImprovement(patience=5, monitor="validation_loss")],
    "a rule of one's own": [cr.training.OnEpoch(lambda run, record: record["accuracy"] > 0.98 and run.stop("98 %"))],
}
for name, callbacks in stops.items():
    model = cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10))
    run = cr.fit(model, train, validation=test, epochs=60, callbacks=callbacks)
    last = run.history.epochs[-1]
    print(f"{name:20} {run.epoch:3} epochs, loss {last['loss']:.4f}: {run.stopped or 'all epochs are done'}")

run.fit(train, epochs=run.epoch + 3)
print(f"{'and gone on with':20} {run.epoch:3} epochs, loss {run.history.epochs[-1]['loss']:.4f}")
