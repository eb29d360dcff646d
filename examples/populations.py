"""Learning without a gradient: a genetic algorithm and an evolution strategy beside backpropagation, on three tasks.

An evaluation is one sample through the network once; backpropagation's way back counts as two more.

Run it with: python examples/populations.py [--short] [--picture populations.png]
"""

import argparse

import numpy as np

import chainrule as cr
from chainrule.optimizers import ArithmeticCrossover, GeneticAlgorithm, Roulette, Tournament, UniformCrossover

parser = argparse.ArgumentParser()
parser.add_argument("--short", action="store_true", help="without the eight bits, which take a minute or two")
parser.add_argument("--picture", help="where to draw the losses")
options = parser.parse_args()

MUTATION = cr.optimizers.Mutation(0.02, cr.optimizers.schedules.InverseTime(0.5, 0.0005))
LEARNERS = {
    "backpropagation, Adam": cr.optimizers.Adam(0.02),
    "genetic, tournament, uniform": GeneticAlgorithm(100, Tournament(5), UniformCrossover(0.5, 0.1), MUTATION),
    "genetic, roulette, arithmetic": GeneticAlgorithm(100, Roulette(), ArithmeticCrossover(0.5), MUTATION),
    "evolution strategy": cr.optimizers.EvolutionStrategy(0.05, population=100, deviation=0.1),
}
corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
numbers = (np.arange(256)[:, None] >> np.arange(7, -1, -1) & 1).astype(np.float32)  # each as eight bits
bits, (iris, flowers) = cr.data.from_arrays(numbers, numbers), cr.data.load("iris")
xor = cr.data.from_arrays(corners, ["no", "yes", "yes", "no"])
TASKS = {  # data to learn, data to judge by, network, the loss to reach, steps at most
    "XOR": (xor, xor, cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(2)), 0.02, 1000),
    "iris": (iris, flowers, cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), 0.05, 1000),
}
if not options.short:
    TASKS["eight bits"] = (bits, bits, cr.Chain(cr.Dense(4), cr.Dense(16, cr.tanh), cr.Dense(8)), 0.02, 5000)

curves = {}
for task, (train, test, model, goal, most) in TASKS.items():
    loss = None if train.classes else cr.losses.binary_cross_entropy
    print(f"{task}: loss {goal}\n{'':30}  steps   evaluations  seconds     loss   right")
    for name, optimizer in LEARNERS.items():
        run = cr.prepare(model, train, loss=loss, optimizer=optimizer, batch_size=None, seed=1)
        run.fit(train, epochs=most, callbacks=[cr.training.StopAtLoss(goal)])
        steps = run.history.steps
        each = len(train) * (getattr(optimizer, "population", 2) + 1)
        share = run.evaluate(test).get("accuracy") or ((run.outputs(test.inputs) > 0) == test.targets).all(1).mean()
        curves[task, name] = each * (1 + np.arange(len(run.history))), steps["loss"]
        count = f"{len(run.history):6}{'' if run.stopped else '+':1} {each * len(run.history):12,}"
        print(f"{name:30} {count} {steps['seconds'].sum():8.2f} {steps['loss'][-1]:8.4f}  {share:6.1%}", flush=True)

if options.picture:
    from chainrule.explain.pictures import figure, save_picture

    panels = (drawn := figure(5 * len(TASKS), 4.5)).subplots(1, len(TASKS))
    for (task, name), curve in curves.items():
        (axes := panels[[*TASKS].index(task)]).loglog(*curve, label=name)
        axes.set(title=task, xlabel="evaluations of the network on a sample", ylabel="loss")
    panels[0].legend()
    print("wrote", save_picture(drawn, options.picture))
