"""Known networks for images, by name: each a function that gives a model, made of the layers that anybody can use."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.layers import Chain
from chainrule.models.codes import CodeDistance
from chainrule.models.lenet import TableConv2D, lenet5, scaled_tanh
from chainrule.models.mobile import mobile
from chainrule.models.resnet import resnet20
from chainrule.models.simple import simple_cnn

#: Names for the command line: functions of the number of outputs and of the shape (height, width, channels).
BY_NAME: dict[str, Callable[[int, tuple[int, int, int]], Chain]] = {
    "simple_cnn": simple_cnn,
    "lenet5": lenet5,
    "resnet20": resnet20,
    "mobile": mobile,
}

__all__ = ["BY_NAME", "CodeDistance", "TableConv2D", "lenet5", "mobile", "resnet20", "scaled_tanh", "simple_cnn"]
