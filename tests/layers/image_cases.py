"""The layers of images and sequences that every law is tried on, with what each gives in plain NumPy."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from tests.layers.case import Case
from tests.layers.plain import Array, between, convolved, laid_down, pooled

NONE = ((0, 0), (0, 0))


def by_table(weight: Array) -> Array:
    """The kernel of which the first output sees channels 0 and 2, the second channel 1."""
    kernel: Array = np.zeros((2, 2, 3, 2))
    for number, (channel, output) in enumerate(((0, 0), (2, 0), (1, 1))):
        kernel[:, :, channel, output] = weight[..., number]
    return kernel


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
    "DepthwiseConv2D": Case(
        cr.DepthwiseConv2D((3, 2), stride=2), (4, 5, 2), (2, 3, 2), {"weight": (3, 2, 1, 2), "bias": (2,)},
        lambda x, p: convolved(x, p["weight"], ((0, 1), (0, 1)), (2, 2), groups=2) + p["bias"],
    ),
    "DepthwiseConv1D": Case(
        cr.DepthwiseConv1D(2, multiplier=3, bias=False, padding="valid"), (4, 2), (3, 6), {"weight": (2, 1, 6)},
        lambda x, p: convolved(x, p["weight"], ((0, 0),), (1,), groups=2),
    ),
    "ConvTranspose2D": Case(
        cr.ConvTranspose2D(3, 4, stride=2), (2, 3, 2), (4, 6, 3), {"weight": (4, 4, 2, 3), "bias": (3,)},
        lambda x, p: laid_down(x, p["weight"], ((1, 1), (1, 1)), (2, 2), (6, 8)) + p["bias"],
    ),
    "ConvTranspose2D, groups and borders": Case(
        cr.ConvTranspose2D(4, (3, 2), cr.tanh, stride=(2, 1), padding=((1, 0), 1), output_padding=(1, 0), groups=2),
        (2, 3, 4), (5, 2, 4), {"weight": (3, 2, 2, 4), "bias": (4,)},
        lambda x, p: np.tanh(laid_down(x, p["weight"], ((1, 0), (1, 1)), (2, 1), (6, 4), 2) + p["bias"]),
    ),
    "ConvTranspose2D, a stride beyond the kernel": Case(
        cr.ConvTranspose2D(2, 2, stride=3, bias=False), (2, 1, 2), (6, 3, 2), {"weight": (2, 2, 2, 2)},
        lambda x, p: laid_down(x, p["weight"], NONE, (3, 3), (6, 3)),
    ),
    "ConvTranspose1D": Case(
        cr.ConvTranspose1D(2, 3, padding="valid", stride=2), (3, 2), (7, 2), {"weight": (3, 2, 2), "bias": (2,)},
        lambda x, p: laid_down(x, p["weight"], ((0, 0),), (2,), (7,)) + p["bias"],
    ),
    "Upsample2D": Case(cr.Upsample2D((2, 3)), (2, 3, 2), (4, 9, 2), {}, lambda x, p: x.repeat(2, 1).repeat(3, 2)),
    "Upsample2D, bilinear": Case(
        cr.Upsample2D(2, interpolation="bilinear"), (2, 3, 2), (4, 6, 2), {},
        lambda x, p: between(between(x, 1, 2), 2, 2),
    ),
    "Upsample1D": Case(cr.Upsample1D(2), (3, 2), (6, 2), {}, lambda x, p: x.repeat(2, 1)),
    "Upsample1D, linear": Case(
        cr.Upsample1D(3, interpolation="linear"), (4, 2), (12, 2), {}, lambda x, p: between(x, 1, 3),
    ),
    "PadChannels": Case(
        cr.PadChannels(5), (2, 2, 3), (2, 2, 5), {}, lambda x, p: np.pad(x, [(0, 0)] * 3 + [(0, 2)]),
    ),
    "SelectChannels": Case(cr.SelectChannels((2, 0, 2)), (2, 3, 3), (2, 3, 3), {}, lambda x, p: x[..., [2, 0, 2]]),
    "Rescale": Case(cr.Rescale(2.0, -0.5), (3, 2), (3, 2), {}, lambda x, p: 2 * x - 0.5),
    "Pad2D": Case(
        cr.Pad2D(((1, 2), 1), 0.5), (2, 3, 2), (5, 5, 2), {},
        lambda x, p: np.pad(x, [(0, 0), (1, 2), (1, 1), (0, 0)], constant_values=0.5),
    ),
    "Pad1D": Case(cr.Pad1D(), (3, 2), (5, 2), {}, lambda x, p: np.pad(x, [(0, 0), (1, 1), (0, 0)])),
    "SpatialDropout": Case(cr.SpatialDropout(0.5), (2, 3, 4), (2, 3, 4), {}, lambda x, p: x, random=True),
    "SpatialDropout, none": Case(cr.SpatialDropout(0), (3, 4), (3, 4), {}, lambda x, p: x),
    "Residual": Case(
        cr.Residual(cr.Dense(4, cr.tanh), cr.Dense(3)), (3,), (3,),
        {"0.weight": (3, 4), "0.bias": (4,), "1.weight": (4, 3), "1.bias": (3,)},
        lambda x, p: x + np.tanh(x @ p["0.weight"] + p["0.bias"]) @ p["1.weight"] + p["1.bias"],
    ),
    "Residual, projected": Case(
        cr.Residual(cr.Conv2D(3, 3, stride=2, bias=False), projection=cr.Conv2D(3, 1, stride=2, bias=False)),
        (4, 4, 2), (2, 2, 3), {"0.weight": (3, 3, 2, 3), "projection.weight": (1, 1, 2, 3)},
        lambda x, p: convolved(x, p["0.weight"], ((0, 1), (0, 1)), (2, 2))
        + x[:, ::2, ::2] @ p["projection.weight"][0, 0],
    ),
    "Parallel": Case(
        cr.Parallel(cr.Conv2D(2, 1), cr.Chain(cr.Conv2D(1, 3), cr.tanh), cr.identity), (3, 3, 2), (3, 3, 5),
        {"0.weight": (1, 1, 2, 2), "0.bias": (2,), "1.0.weight": (3, 3, 2, 1), "1.0.bias": (1,)},
        lambda x, p: np.concatenate(
            [x @ p["0.weight"][0, 0] + p["0.bias"],
             np.tanh(convolved(x, p["1.0.weight"], ((1, 1), (1, 1)), (1, 1)) + p["1.0.bias"]), x], -1),
    ),
    "Parallel, added": Case(
        cr.Parallel(cr.Dense(2, bias=False), cr.tanh, combine="add"), (2,), (2,), {"0.weight": (2, 2)},
        lambda x, p: x @ p["0.weight"] + np.tanh(x),
    ),
    "TableConv2D": Case(
        cr.models.TableConv2D(((0, 2), (1,)), 2, cr.tanh, padding="same"), (3, 3, 3), (3, 3, 2),
        {"weight": (2, 2, 3), "bias": (2,)},
        lambda x, p: np.tanh(convolved(x, by_table(p["weight"]), ((0, 1), (0, 1)), (1, 1)) + p["bias"]),
    ),
    "GlobalMaxPool": Case(cr.GlobalMaxPool(), (5, 4), (4,), {}, lambda x, p: x.max(1)),
}  # fmt: skip
