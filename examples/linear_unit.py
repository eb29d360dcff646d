"""The linear unit: a salary as a line over years of work, fitted by batch, mini-batch and stochastic descent.

The three differ in one number, the batch size. An epoch is one pass over the table, an iteration one update of the
weights; all three below see as many samples. Run it with: python examples/linear_unit.py
"""

import numpy as np

import chainrule as cr

years = np.array([[1], [2], [3], [4], [5], [6], [8], [9], [10], [12]])
salary = np.array([[40], [43], [52], [55], [66], [65], [84], [88], [97], [110]])  # in thousands a year, made up
scaling = cr.data.Scaling
table = cr.data.from_arrays(
    years, salary, preparation=cr.data.Preparation(target=scaling.standardize(salary))
).standardize()

slope, start = np.polyfit(years.ravel(), salary.ravel(), 1)
print(f"the best line, solved at once: {start:.2f} + {slope:.2f} a year\n")
print("descent     batch  epochs  iterations  samples  the line found")
for name, batch_size in {"batch": None, "mini-batch": 4, "stochastic": 1}.items():
    run = cr.fit(
        cr.Chain(cr.Dense(1)),
        table,
        loss=cr.losses.half_squared_error,
        optimizer=cr.optimizers.SGD(learning_rate=0.02),
        batch_size=batch_size,
        epochs=200,
    )
    first, second = run.predict([[0.0], [1.0]]).ravel()
    counts = f"{run.batch_size:5}  {run.epoch:6}  {len(run.history):10}  {run.history.samples:7}"
    print(f"{name:10}  {counts}  {first:.2f} + {second - first:.2f} a year")
