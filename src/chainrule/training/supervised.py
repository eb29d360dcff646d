"""The usual step: a model, a loss on its outputs and the targets, an optimizer."""

from __future__ import annotations

from chainrule import graph
from chainrule.augmentation import Augmentation, Samples
from chainrule.errors import ConfigurationError, GraphError
from chainrule.graph import INTEGERS, Node
from chainrule.layers.scope import AnyLayer
from chainrule.losses import Loss
from chainrule.metrics import correct
from chainrule.optimizers.updates import Optimizer
from chainrule.regularizers import Regularizer
from chainrule.training.batch import Batch
from chainrule.training.step import Step, StepFunction, StepState


def supervised(
    model: AnyLayer,
    loss: Loss,
    optimizer: Optimizer,
    regularizer: Regularizer | None = None,
    augmentation: Augmentation | None = None,
) -> Step:
    """A step that fits a model's outputs to targets, and measures the loss, and the accuracy of classes.

    With a ``regularizer``, or where layers add to the loss (`Sparsity`, `GaussianCode`), it descends in the sum of loss
    and penalty, and records both: "loss" is that of the data. What layers add is measured, too, as "added". An
    ``augmentation`` changes the samples that it learns from, never those that are measured.
    """
    train = train_function(model, loss, optimizer, regularizer, augmentation)
    return Step(train, measure_function(model, loss), "supervised")


def train_function(
    model: AnyLayer,
    loss: Loss,
    optimizer: Optimizer,
    regularizer: Regularizer | None = None,
    augmentation: Augmentation | None = None,
) -> StepFunction:
    """The step itself, as `supervised` builds it."""

    def train(state: StepState, batch: Batch) -> dict[str, Node]:
        samples = Samples(batch.inputs, ((batch.targets, batch.weights),))
        if augmentation is not None:
            samples = state.augment(augmentation, samples)
        outputs = state.apply(model, samples.inputs)
        _check_classes(outputs, batch)
        value = _loss(loss, outputs, samples, batch)
        logs = {"loss": value}
        penalties = [] if regularizer is None else [state.penalty(model, regularizer)]
        if (added := state.added_loss()) is not None:
            penalties.append(added)
        if penalties:
            logs["penalty"] = penalties[0] if len(penalties) == 1 else penalties[0] + penalties[1]
            value = value + logs["penalty"]
        state.descend(value, model, optimizer, outputs=outputs, criterion=loss)
        if batch.classes is not None:
            logs["accuracy"] = samples.mean(lambda targets: _correct(loss, outputs, targets))
        return logs

    return train


def measure_function(model: AnyLayer, loss: Loss) -> StepFunction:
    """What `supervised` measures."""

    def measure(state: StepState, batch: Batch) -> dict[str, Node]:
        outputs = state.apply(model, batch.inputs)
        logs = {"loss": loss.per_sample(outputs, batch.targets)}
        if (added := state.added_loss(per_sample=len(batch))) is not None:
            logs["added"] = added
        if batch.classes is not None:
            logs["accuracy"] = _correct(loss, outputs, batch.targets)
        return logs

    return measure


def _loss(loss: Loss, outputs: Node, samples: Samples, batch: Batch) -> Node:
    with graph.scope("loss", absolute=True):
        try:
            return samples.mean(lambda targets: loss.per_sample(outputs, targets))
        except GraphError as error:
            advice = ""
            if batch.classes is not None and outputs.rank == 2 and outputs.shape[1] != len(batch.classes):
                advice = f" (the data has {len(batch.classes)} classes, and the last layer {outputs.shape[1]} units)"
            raise type(error)(f"the loss: {error}{advice}") from error


def _correct(loss: Loss, outputs: Node, targets: Node) -> Node:
    with graph.scope("accuracy", absolute=True):
        return correct(loss.probabilities(outputs), targets)


def _check_classes(outputs: Node, batch: Batch) -> None:
    """Refuse a last layer that has not one unit a class: some labels could not be learned, or units not be named."""
    if batch.classes is None or batch["targets"].dtype not in INTEGERS or outputs.rank != 2:
        return
    units, classes = outputs.shape[1], len(batch.classes)
    if units != classes and not (units == 1 and classes == 2):
        raise ConfigurationError(
            f"the data has {classes} classes, and the last layer {'only ' * (units < classes)}{units} "
            f"unit{'s' * (units > 1)}; make it Dense({classes})"
        )
