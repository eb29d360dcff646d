"""Training: the step as one graph, the loop that executes it, and what looks on."""

from __future__ import annotations

from chainrule.optimizers.driving import Descent
from chainrule.training.batch import Batch, DataSpec
from chainrule.training.building import BuiltStep, build_gradients, build_measure, build_step, initial_state
from chainrule.training.callbacks import (
    Callback,
    OnEpoch,
    StopAfter,
    StopAtGradient,
    StopAtLoss,
    StopWithoutImprovement,
)
from chainrule.training.checkpoint import Checkpoint
from chainrule.training.forgetting import ForgetState
from chainrule.training.history import History
from chainrule.training.log import Log
from chainrule.training.loop import Training
from chainrule.training.plateau import ReduceOnPlateau
from chainrule.training.sampling import Sampling
from chainrule.training.step import Step, StepState, step
from chainrule.training.supervised import supervised
from chainrule.training.tensorboard import TensorBoard

__all__ = [
    "Batch", "BuiltStep", "Callback", "Checkpoint", "DataSpec", "Descent", "ForgetState", "History", "Log", "OnEpoch",
    "ReduceOnPlateau", "Sampling", "Step", "StepState", "StopAfter", "StopAtGradient", "StopAtLoss",
    "StopWithoutImprovement", "TensorBoard", "Training", "build_gradients", "build_measure", "build_step",
    "initial_state", "step", "supervised",
]  # fmt: skip
