"""PyTorch: modules and its fused optimizers, eager or through torch.compile."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.speed.workload import EPSILON, KEPT, Array, Given, Workload

#: The rows of a step are few, and a cast is a call of its own.
DTYPE = "float32"


def network(given: Given) -> Any:
    """The network of a workload, with the parameters given."""
    workload = given.workload
    activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[workload.hidden]
    layers: list[Any] = []
    for place, parameters in enumerate(given.layers):
        weight, bias, *rest = (torch.from_numpy(array.copy()) for array in parameters)
        dense = nn.Linear(*weight.shape)
        with torch.no_grad():
            dense.weight.copy_(weight.T)
            dense.bias.copy_(bias)
        layers.append(dense)
        if rest:
            layers.append(nn.BatchNorm1d(len(bias), eps=EPSILON, momentum=1 - KEPT))
        if place < len(given.layers) - 1:
            layers.append(activation())
            layers += [nn.Dropout(workload.dropout)] if workload.dropout else []
    return nn.Sequential(*layers, *([nn.Sigmoid()] if workload.output else []))


def optimizer_of(workload: Workload, parameters: Any) -> Any:
    """The optimizer of a workload, in the form that updates all parameters in one call."""
    if workload.update.kind == "adam":
        return torch.optim.Adam(parameters, lr=workload.update.rate, fused=True)
    momentum = 0.9 if workload.update.kind == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=workload.update.rate, momentum=momentum, fused=True)


class Runner:
    """A network in training."""

    def __init__(self, given: Given, *, threads: int = 1, compiled: bool = False) -> None:
        torch.set_num_threads(threads)
        workload = given.workload
        self.inputs, self.labels = torch.from_numpy(given.inputs), torch.from_numpy(given.labels).long()
        self.model = network(given).train()
        self.optimizer = optimizer_of(workload, self.model.parameters())
        self.clip, steps = workload.update.clip, workload.update.cosine
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps) if steps else None
        cross_entropy = workload.loss == "cross_entropy"
        model = self.model

        def loss_of(inputs: Any, labels: Any, index: Any) -> Any:
            x = inputs.index_select(0, index)
            if cross_entropy:
                return nn.functional.cross_entropy(model(x), labels.index_select(0, index))
            return nn.functional.mse_loss(model(x), x)

        self.loss_of: Any = torch.compile(loss_of) if compiled else loss_of

    def order(self, indices: Array) -> Any:
        """A tensor of indices a step."""
        return list(torch.from_numpy(indices).long().unbind(0))

    def run(self, order: Any) -> list[Any]:
        """Step after step."""
        losses = []
        for index in order:
            loss = self.loss_of(self.inputs, self.labels, index)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self.clip:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.clip, foreach=True)
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            losses.append(loss.detach())
        return losses
