"""Equal first weights: hidden units that start alike stay alike, so that eight of them learn no more than one.

Each unit gets the same input and passes on the same output, so it gets the same gradient, in every step. That is why
first weights are drawn at random. Run it with: python examples/equal_weights.py
"""

import chainrule as cr

train, test = cr.data.load("digits")
starts = {
    "all 0": cr.initializers.Constant(0.0),
    "all 0.1": cr.initializers.Constant(0.1),
    "uniform ±0.1": cr.initializers.Uniform(0.1),
    "normal, 0.1": cr.initializers.Normal(0.1),
    "Glorot": cr.initializers.Glorot(),
}
print("first weights   spread of the 8 units after 20 epochs   test accuracy")
for name, start in starts.items():
    model = cr.Chain(cr.Dense(8, cr.sigmoid, weight=start), cr.Dense(10, weight=start))
    run = cr.fit(model, train, epochs=20, optimizer=cr.optimizers.SGD(0.1, momentum=0.9))
    weight = run.parameters["0.weight"]  # a column a unit
    spread = abs(weight - weight[:, :1]).max()
    print(f"{name:13} {spread:25.6f} {run.evaluate(test)['accuracy']:25.1%}")
