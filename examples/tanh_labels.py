"""Targets in the range of the output: ±1 for the classes of tanh units, and prices rescaled and brought back.

A tanh unit can say nothing outside (-1, 1), so what it should say has to lie there. Run it with:

    python examples/tanh_labels.py
"""

import numpy as np

import chainrule as cr

train, test = cr.data.load("iris")
model = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3, cr.tanh))
signs = train.one_hot(off=-1, on=1)
print(
    "iris: the first species is",
    signs.targets[train.labels == 0][0],
    "and the last",
    signs.targets[train.labels == 2][0],
)
run = cr.fit(model, signs, loss=cr.losses.half_squared_error, optimizer=cr.optimizers.SGD(0.05), epochs=60)
print(
    f"      test accuracy {run.evaluate(test.one_hot(-1, 1))['accuracy']:.1%}, outputs",
    run.outputs(test.inputs[:1])[0].round(2),
)

sizes = np.linspace(50, 240, 20)[:, None]
prices = 30_000 + 1900 * sizes + 25_000 * np.sin(sizes / 20)
houses = cr.data.from_arrays(sizes, prices).standardize().targets_into(-0.8, 0.8)
model = cr.Chain(cr.Dense(16, cr.tanh), cr.Dense(1, cr.tanh))
run = cr.fit(model, houses, loss=cr.losses.half_squared_error, batch_size=5, epochs=400)
print(f"houses: prices from {prices.min():,.0f} to {prices.max():,.0f} become -0.8 to 0.8")
for size, price in zip(sizes[::6, 0], prices[::6, 0], strict=True):
    said, output = run.predict([[size]])[0, 0], run.outputs([[size]])[0, 0]
    print(f"  {size:3.0f} m²: the unit says {output:+.2f}, that is {said:8,.0f}; the price is {price:8,.0f}")
