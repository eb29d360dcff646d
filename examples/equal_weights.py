"""Equal first weights: hidden units that start alike stay alike, so that eight of them learn no more than one.

Each unit gets the same input and passes on the same output, so it gets the same gradient, in every step. That is why
first weights are drawn at random. Run it with: python examples/equal_weights.py [--picture equal-weights.png]
"""

import argparse

import chainrule as cr

parser = argparse.ArgumentParser()
parser.add_argument("--picture", help="where to draw how the units part, or stay one")
options = parser.parse_args()
train, test = cr.data.load("digits")
starts = {
    "all 0": cr.initializers.Constant(0.0),
    "all 0.1": cr.initializers.Constant(0.1),
    "uniform ±0.1": cr.initializers.Uniform(0.1),
    "normal, 0.1": cr.initializers.Normal(0.1),
    "Glorot": cr.initializers.Glorot(),
}
paths = {}
print("first weights   spread of the 8 units after 20 epochs   test accuracy")
for name, start in starts.items():
    model = cr.Chain(cr.Dense(8, cr.sigmoid, weight=start), cr.Dense(10, weight=start))
    run = cr.prepare(model, train, optimizer=cr.optimizers.SGD(0.1, momentum=0.9))
    paths[name] = [run.parameters["0.weight"][28]]  # from one pixel in the middle, to each of the 8 units
    keep = cr.training.OnEpoch(lambda run, record, path=paths[name]: path.append(run.parameters["0.weight"][28]))
    run.fit(train, epochs=20, callbacks=[keep])
    weight = run.parameters["0.weight"]  # a column a unit
    spread = abs(weight - weight[:, :1]).max()
    print(f"{name:13} {spread:25.6f} {run.evaluate(test)['accuracy']:25.1%}")

if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    drawn = figure(14, 3.6)
    for axes, name in zip(drawn.subplots(1, 5, sharey=True), paths, strict=True):
        axes.plot(paths[name])
        axes.set(title=name, xlabel="epoch")
    drawn.axes[0].set(ylabel="weights of the 8 units for one pixel")
    print("wrote", save_picture(drawn, options.picture))
