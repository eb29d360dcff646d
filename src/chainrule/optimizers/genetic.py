"""A genetic algorithm: a population of parameters that are selected, crossed and mutated, a generation a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.initializers import Initializer
from chainrule.keys import Key
from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers.breeding import Crossover, Mutation, Selection, Tournament, UniformCrossover
from chainrule.optimizers.evolution import check_members
from chainrule.optimizers.populations import check_first, losses_at, order
from chainrule.optimizers.updates import Optimizer, Tree, UpdateScope


@dataclass(frozen=True)
class GeneticAlgorithm(Optimizer):
    """A population of parameters, of which the better have children; a step is a generation, and needs no gradient.

    1. The losses of all n = ``population`` members on the step's batch, at once.
    2. The ``elite`` best go on as they are.
    3. The others are children: two parents by ``selection`` (`Tournament`, `Roulette`), one child of them by
       ``crossover`` (`UniformCrossover`, `ArithmeticCrossover`), changed by ``mutation`` (`Mutation`).

    All of it is nodes of the one graph; nothing waits for the host. The best member is the parameters of the run, by
    which it predicts; the others are its memory, "population", and at first are drawn as the layers draw theirs. So
    the best is never lost: with all samples in the batch (``batch_size=None``) the loss never rises. A step costs
    n + 1 evaluations of the loss, which need not have a derivative.

    Raises `ConfigurationError` for fewer than 2 members, or an elite that leaves no room for children.

    Differs from: PyTorch and Keras, which do not have it.

    >>> GeneticAlgorithm(100, selection=Tournament(2)).elite
    2

    Reference: D. Montana and L. Davis, "Training feedforward neural networks using genetic algorithms", 1989.
    """

    population: int = 64
    selection: Selection = Tournament()
    crossover: Crossover = UniformCrossover()
    mutation: Mutation = Mutation()
    elite: int = 2

    other_words: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("popsize", "population_size"), "population"),
        **dict.fromkeys(("elitism", "elites"), "elite"),
    }
    descends: ClassVar[bool] = True
    wants: ClassVar[str] = "gradients"

    def __post_init__(self) -> None:
        check_members("GeneticAlgorithm", self.population, 2)
        if not isinstance(self.elite, int) or isinstance(self.elite, bool) or not 1 <= self.elite < self.population:
            raise ConfigurationError(
                f"GeneticAlgorithm: elite is a whole number from 1 to below the population, {self.population}, so that "
                f"the best stays and others are born, not {self.elite!r}"
            )
        for name, part, does in (("selection", self.selection, "choose"), ("crossover", self.crossover, "cross"),
                                 ("mutation", self.mutation, "mutate")):  # fmt: skip
            if isinstance(part, type) or not hasattr(part, does):
                raise ConfigurationError(f"GeneticAlgorithm: {name} is an object with {does}, not {part!r}")

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """From the parameters to the best of the population; "population" is remembered."""
        check_first("GeneticAlgorithm", scope, directions)
        population: Tree = {}
        for path, parameter in parameters.items():
            own = scope.record.declared[f"{PARAMETERS}/{path}"].initializer
            like = graph.full((self.population - 1, *parameter.shape), 0, parameter.dtype)
            others = scope.remember("population", path, like, Several(own))
            population[path] = graph.concatenate([graph.broadcast(parameter, [0], [1]), others])
        losses = losses_at(scope, population, parameters)
        ranked = order(losses)
        parents = self.selection.choose(scope.inside(0, "selection"), losses, 2 * (self.population - self.elite))
        half = self.population - self.elite
        first = {path: graph.gather(members, parents[:half]) for path, members in population.items()}
        second = {path: graph.gather(members, parents[half:]) for path, members in population.items()}
        children = self.crossover.cross(scope.inside(1, "crossover"), first, second)
        children = self.mutation.mutate(scope.inside(2, "mutation"), children)
        best = ranked[0]
        moves: Tree = {}
        for path, parameter in parameters.items():
            kept = [graph.gather(population[path], ranked[1 : self.elite])] * (self.elite > 1)
            scope.store("population", path, graph.concatenate([*kept, children[path]]))
            # Parameters that are the best stay to the bit: what is added to them is 0, not a difference.
            stays = graph.broadcast_to(graph.eq(best, 0), parameter.shape)
            moves[path] = graph.select(stays, 0.0, graph.gather(population[path], best) - parameter)
        return moves


@dataclass(frozen=True)
class Several:
    """Members drawn as a layer draws its parameter, each with a key of its own: the first axis counts them.

    >>> from chainrule.initializers import Uniform
    >>> Several(Uniform(0.1))(Key(0), (5, 3, 2)).shape
    (5, 3, 2)
    """

    initializer: Initializer

    def __call__(self, key: Key, shape: tuple[int, ...]) -> NDArray[Any]:
        """An array of this shape."""
        return np.array([self.initializer(key.child(number), shape[1:]) for number in range(shape[0])])
