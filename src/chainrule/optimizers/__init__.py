"""Optimizers: compositions of small updates, each a few nodes of the step's graph."""

from __future__ import annotations

from chainrule.optimizers import schedules
from chainrule.optimizers.accumulation import Accumulate
from chainrule.optimizers.adagrad import Adadelta, AdadeltaDirection, AdaGrad, AdaGradDirection
from chainrule.optimizers.adam import Adam, AdamDirection, AdamW, AMSGrad
from chainrule.optimizers.adamax import Adamax, AdamaxDirection
from chainrule.optimizers.averaging import Averaging, Noise
from chainrule.optimizers.breeding import (
    ArithmeticCrossover,
    Crossover,
    Mutation,
    Roulette,
    Selection,
    Tournament,
    UniformCrossover,
)
from chainrule.optimizers.clipping import AdaptiveClip, ClipGlobalNorm, ClipNorm, ClipValue
from chainrule.optimizers.decay import MaxNorm, WeightDecay
from chainrule.optimizers.delta_bar_delta import DeltaBarDelta, OwnRates
from chainrule.optimizers.driving import Driver, HostOptimizer, ValueAndGradient
from chainrule.optimizers.evolution import EvolutionGradient, EvolutionStrategy
from chainrule.optimizers.genetic import GeneticAlgorithm
from chainrule.optimizers.groups import Groups
from chainrule.optimizers.kfac import KFAC
from chainrule.optimizers.lbfgs import LBFGS
from chainrule.optimizers.lion import Lion, LionDirection
from chainrule.optimizers.nadam import NAdam, NAdamDirection
from chainrule.optimizers.rmsprop import RMSprop, RMSpropDirection
from chainrule.optimizers.rprop import Rprop, RpropDirection
from chainrule.optimizers.sgd import SGD, Momentum
from chainrule.optimizers.updates import (
    Compose,
    Descend,
    Downhill,
    Number,
    Optimizer,
    Scale,
    Tree,
    Update,
    UpdateScope,
    times,
)

__all__ = [
    "AMSGrad", "Accumulate", "AdaGrad", "AdaGradDirection", "Adadelta", "AdadeltaDirection", "Adam", "AdamDirection",
    "AdamW", "Adamax", "AdamaxDirection", "AdaptiveClip", "ArithmeticCrossover", "Averaging", "ClipGlobalNorm",
    "ClipNorm", "ClipValue", "Compose", "Crossover", "DeltaBarDelta", "Descend", "Downhill", "Driver",
    "EvolutionGradient", "EvolutionStrategy", "GeneticAlgorithm", "Groups", "HostOptimizer", "KFAC", "LBFGS", "Lion",
    "LionDirection", "MaxNorm", "Momentum", "Mutation", "NAdam", "NAdamDirection", "Noise", "Number", "Optimizer",
    "OwnRates", "RMSprop", "RMSpropDirection", "Roulette", "Rprop", "RpropDirection", "SGD", "Scale", "Selection",
    "Tournament", "Tree", "UniformCrossover", "Update", "UpdateScope", "ValueAndGradient", "WeightDecay", "schedules",
    "times",
]  # fmt: skip
