"""Evolution strategies: the gradient estimated from the losses around the parameters, without a derivative."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.optimizers.adam import AdamDirection, check_means
from chainrule.optimizers.populations import centred_ranks, check_first, losses_at
from chainrule.optimizers.updates import (
    Descend,
    Number,
    Optimizer,
    Part,
    Tree,
    Update,
    UpdateScope,
    check_positive,
    times,
)

_WORDS = {"sigma": "deviation", "std": "deviation", "popsize": "population", "population_size": "population"}


@dataclass(frozen=True)
class EvolutionGradient(Part):
    """g ← 1/(n·σ)·Σ uᵢ·εᵢ: an estimate of the gradient by n losses at θ + σ·εᵢ, in the place of the gradient.

    n = ``population`` (even), σ = ``deviation``, a number or a schedule. The εᵢ are of the standard normal
    distribution, in pairs ε and -ε; uᵢ is the place of the i-th loss in their order, from -½ (the best) to ½, so that
    only the order of the losses counts. All n losses are those of the step's batch, computed at once; no gradient is.
    It stands first, where gradients begin: ``Compose(EvolutionGradient(64, 0.1), SGD(0.1, momentum=0.9))``.

    >>> EvolutionGradient(64, 0.1).population
    64

    Reference: T. Salimans, J. Ho, X. Chen, S. Sidor and I. Sutskever, "Evolution strategies as a scalable alternative
    to reinforcement learning", 2017.
    """

    population: int = 64
    deviation: Number = 0.1

    wants: ClassVar[str] = "gradients"
    other_words: ClassVar[Mapping[str, str]] = _WORDS

    def __post_init__(self) -> None:
        check_members("EvolutionGradient", self.population, 2)
        if self.population % 2:
            raise ConfigurationError(
                f"EvolutionGradient: population is an even number, as its members come in pairs, not {self.population}"
            )
        check_positive("EvolutionGradient", "deviation", self.deviation)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The estimate."""
        check_first("EvolutionGradient", scope, directions)
        pairs = self.population // 2
        deviation = scope.number("deviation", self.deviation)
        noise: Tree = {}
        population: Tree = {}
        for path, parameter in parameters.items():
            like = graph.full((pairs, *parameter.shape), 0, parameter.dtype)
            noise[path] = scope.normal("noise", path, like)
            step = times(deviation, noise[path])
            middle = graph.broadcast(parameter, [0], [pairs])
            population[path] = graph.concatenate([middle + step, middle - step])
        shaped = centred_ranks(losses_at(scope, population, parameters))
        both = (shaped[:pairs] - shaped[pairs:]) / graph.broadcast_to(self.population * deviation, (pairs,))
        return {
            path: graph.reshape(graph.contract(both, graph.reshape(one, (pairs, -1)), "p,pn->n"), one.shape[1:])
            for path, one in noise.items()
        }


@dataclass(frozen=True)
class EvolutionStrategy(Optimizer):
    """Descent by losses alone: n losses around the parameters tell the way, and Adam takes the step.

    The gradient that `EvolutionGradient` estimates with ``population`` and ``deviation``, and `Adam` by it with
    ``learning_rate``, ``beta1``, ``beta2`` and ``epsilon``, as in the paper. The parameters of the run, by which it
    predicts, are the mean of the population. The loss need not have a derivative. A step costs n + 1 evaluations of
    the loss; their number is to grow with the number of parameters.

    Differs from: PyTorch and Keras, which do not have it; the paper's own code, which adds coupled weight decay:
    ``Compose(EvolutionGradient(64, 0.1), WeightDecay(0.005), Adam(0.01))``.

    >>> EvolutionStrategy(0.05, population=128).deviation
    0.1

    Reference: T. Salimans, J. Ho, X. Chen, S. Sidor and I. Sutskever, "Evolution strategies as a scalable alternative
    to reinforcement learning", 2017.
    """

    learning_rate: Number = 0.05
    population: int = 64
    deviation: Number = 0.1
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8

    other_words: ClassVar[Mapping[str, str]] = _WORDS

    def __post_init__(self) -> None:
        EvolutionGradient(self.population, self.deviation)
        check_means("EvolutionStrategy", self.learning_rate, self.beta1, self.beta2, self.epsilon)

    def updates(self) -> tuple[Update, ...]:
        """The estimate, Adam's direction by it, and descent along that."""
        return (
            EvolutionGradient(self.population, self.deviation),
            AdamDirection(self.beta1, self.beta2, self.epsilon),
            Descend(self.learning_rate),
        )


def check_members(who: str, count: int, least: int) -> None:
    """Refuse a population that is no whole number, or too small."""
    if not isinstance(count, int) or isinstance(count, bool) or not least <= count < math.inf:
        raise ConfigurationError(f"{who}: population is a whole number of {least} or more, not {count!r}")
