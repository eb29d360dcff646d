"""The ten-line program: learn to read handwritten digits, say how well it went, and keep the run.

Run it with: python examples/digits.py. It takes a few seconds and writes the folder digits-run.
"""

import chainrule as cr

train, test = cr.data.load("digits")                      # real handwritten digits, no download
model = cr.Chain(cr.Dense(64, cr.relu), cr.Dense(10))     # input sizes come from the data
run = cr.fit(model, train, validation=test, loss=cr.losses.cross_entropy,
             optimizer=cr.optimizers.SGD(learning_rate=0.1, momentum=0.9), epochs=20, seed=0)
run.evaluate(test)                                        # {'loss': …, 'accuracy': …}
run.predict(test.inputs[:5])
run.save("digits-run")                                    # model, preparation and classes travel together
print(run.evaluate(test), run.predict(test.inputs[:5]))
