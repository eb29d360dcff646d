"""The layers of images and sequences that every law is tried on, with what each gives in plain NumPy."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from tests.layers.case import Case
from tests.layers.plain import convolved, pooled

NONE = ((0, 0), (0, 0))

IMAGE_CASES: dict[str, Case] = {
    "Conv2D": Case(
        cr.Conv2D(3), (4, 5, 2), (4, 5, 3), {"weight": (3, 3, 2, 3), "bias": (3,)},
        lambda x, p: convolved(x, p["weight"], ((1, 1), (1, 1)), (1, 1)) + p["bias"],
    ),
    "Conv2D, strided": Case(
        cr.Conv2D(3, (2, 3), cr.tanh, stride=(2, 1), padding=((0, 1), 2), bias=False), (4, 4, 2), (2, 6, 3),
        {"weight": (2, 3, 2, 3)},
        lambda x, p: np.tanh(convolved(x, p["weight"], ((0, 1), (2, 2)), (2, 1))),
    ),
    "Conv2D, same and a stride": Case(
        cr.Conv2D(2, 3, stride=2), (4, 5, 1), (2, 3, 2), {"weight": (3, 3, 1, 2), "bias": (2,)},
        lambda x, p: convolved(x, p["weight"], ((0, 1), (1, 1)), (2, 2)) + p["bias"],
    ),
    "Conv2D, dilated groups": Case(
        cr.Conv2D(4, 2, padding="valid", dilation=(2, 1), groups=2), (4, 3, 4), (2, 2, 4),
        {"weight": (2, 2, 2, 4), "bias": (4,)},
        lambda x, p: convolved(x, p["weight"], NONE, (1, 1), (2, 1), 2) + p["bias"],
    ),
    "Conv1D": Case(
        cr.Conv1D(3, 2, cr.sigmoid, stride=2, padding=1), (5, 2), (3, 3), {"weight": (2, 2, 3), "bias": (3,)},
        lambda x, p: 1 / (1 + np.exp(-convolved(x, p["weight"], ((1, 1),), (2,)) - p["bias"])),
    ),
    "Conv1D, causal": Case(
        cr.Conv1D(2, 3, padding="causal", dilation=2), (6, 1), (6, 2), {"weight": (3, 1, 2), "bias": (2,)},
        lambda x, p: convolved(x, p["weight"], ((4, 0),), (1,), (2,)) + p["bias"],
    ),
    "MaxPool2D": Case(
        cr.MaxPool2D(2), (5, 4, 2), (2, 2, 2), {}, lambda x, p: pooled(x, np.nanmax, NONE, (2, 2), (2, 2)),
    ),
    "MaxPool2D, overlapping": Case(
        cr.MaxPool2D(3, stride=2, padding="same"), (4, 5, 2), (2, 3, 2), {},
        lambda x, p: pooled(x, np.nanmax, ((0, 1), (1, 1)), (3, 3), (2, 2)),
    ),
    "MaxPool1D": Case(
        cr.MaxPool1D(2, stride=1, padding=((1, 0),), dilation=2), (4, 3), (3, 3), {},
        lambda x, p: pooled(x, np.nanmax, ((1, 0),), (2,), (1,), (2,)),
    ),
    "AveragePool2D": Case(
        cr.AveragePool2D((2, 1)), (4, 3, 2), (2, 3, 2), {}, lambda x, p: pooled(x, np.nanmean, NONE, (2, 1), (2, 1)),
    ),
    "AveragePool2D, padded": Case(
        cr.AveragePool2D(3, stride=2, padding=1), (4, 5, 2), (2, 3, 2), {},
        lambda x, p: pooled(x, np.nanmean, ((1, 1), (1, 1)), (3, 3), (2, 2)),
    ),
    "AveragePool1D": Case(
        cr.AveragePool1D(3, stride=1), (5, 2), (3, 2), {}, lambda x, p: pooled(x, np.nanmean, ((0, 0),), (3,), (1,)),
    ),
    "GlobalAveragePool": Case(cr.GlobalAveragePool(), (2, 3, 4), (4,), {}, lambda x, p: x.mean((1, 2))),
    "GlobalMaxPool": Case(cr.GlobalMaxPool(), (5, 4), (4,), {}, lambda x, p: x.max(1)),
}  # fmt: skip
