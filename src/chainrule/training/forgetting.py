"""Forgetting: a state that is carried from batch to batch begins at 0 again where the data do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.layers.recurrence import CARRIED
from chainrule.layers.scope import STATE
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.loop import Training


class ForgetState(Callback):
    """Set the state that recurrent layers carry from batch to batch to 0 after each epoch.

    An epoch begins with the first steps of the data again, which do not follow the last ones.

    >>> from chainrule.layers import LSTM
    >>> LSTM(8, carry=True).carry, ForgetState().state()
    (True, {})
    """

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """The state is that before the first step."""
        training.arrays = {
            name: np.zeros_like(array) if name.startswith(f"{STATE}/") and is_carried(name) else array
            for name, array in training.arrays.items()
        }


def is_carried(name: str) -> bool:
    """Whether an array of the state is what a recurrent layer carries: "state/0.carried.1"."""
    head, _, number = name.partition("/")[2].rpartition(".")
    return number.isdigit() and head.rpartition(".")[2] == CARRIED
