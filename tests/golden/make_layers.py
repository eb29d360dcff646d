"""Make the golden arrays of the layers of images and sequences: hundreds of settings, in another framework, in float64.

    python -m venv golden && golden/bin/pip install torch==2.13.0 numpy
    golden/bin/python tests/golden/make_layers.py

writes image_layers.npz: ``cases`` is JSON, a list of {"layer": a layer as a run's file has it, "x": the shape of the
input, "arrays": the shape of each array that follows}; ``numbers`` has all arrays of all cases one after another, row
by row: value, d:x, and d:weight and d:bias where there are such, for L = Σ cotangent·value. Operands and cotangent are
not in the file: `drawn.py` makes them from the number of the case and their names. ``fractions`` has the arrays of
cases that divide, which are no whole numbers.

What is padded at two borders differently, that framework pads before; the padding "same" is its own, so for stride 1.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn import drawn  # type: ignore[import-not-found]
from torch.nn import functional

HERE = Path(__file__).parent
Case = dict[str, Any]


def pairs(padding: Any, count: int) -> list[tuple[int, int]]:
    entries = padding if isinstance(padding, list) else [padding] * count
    return [tuple(entry) if isinstance(entry, list) else (entry, entry) for entry in entries]


def each(value: Any, count: int) -> list[int]:
    return value if isinstance(value, list) else [value] * count


def around(x: Any, padding: list[tuple[int, int]], value: float = 0.0) -> Any:
    """x, channels first, with borders."""
    return functional.pad(x, [n for pair in reversed(padding) for n in pair], value=value)


def convolved(layer: Case, count: int, x: Any, weight: Any) -> Any:
    *taps, inside, out = weight.shape
    stride, dilation = (each(layer.get(name, 1), count) for name in ("stride", "dilation"))
    groups = x.shape[1] if layer["type"].startswith("Depthwise") else layer.get("groups", 1)
    padding = layer.get("padding", "same")
    if "Transpose" in layer["type"]:
        kernel = weight.reshape(*taps, inside, groups, out // groups).movedim(-2, 0).movedim((-2, -1), (1, 2))
        kernel = kernel.reshape(groups * inside, out // groups, *taps)
        borders = pairs(0 if padding == "valid" else padding, count)
        more = each(layer.get("output_padding", 0), count)
        function = (functional.conv_transpose1d, functional.conv_transpose2d)[count - 1]
        if all(low == high for low, high in borders):
            return function(x, kernel, None, stride, [low for low, _ in borders], more, groups, dilation)
        y = function(x, kernel, None, stride, 0, more, groups, dilation)
        for axis, (low, high) in enumerate(borders, 2):
            y = y.narrow(axis, low, y.shape[axis] - low - high)
        return y
    kernel = weight.movedim((-1, -2), (0, 1))
    function = (functional.conv1d, functional.conv2d)[count - 1]
    if padding == "causal":
        padding = [[dilation[0] * (taps[0] - 1), 0]]
    if not isinstance(padding, str):
        x, padding = around(x, pairs(padding, count)), "valid"
    return function(x, kernel, None, stride, padding, dilation, groups)


def pooled(layer: Case, count: int, x: Any) -> Any:
    size = each(layer.get("size", 2), count)
    stride = each(layer["stride"], count) if "stride" in layer else size
    padding = pairs(0 if layer.get("padding", "valid") == "valid" else layer["padding"], count)
    if layer["type"].startswith("Max"):
        function = (functional.max_pool1d, functional.max_pool2d)[count - 1]
        return function(around(x, padding, -np.inf), size, stride, 0, each(layer.get("dilation", 1), count))
    function = (functional.avg_pool1d, functional.avg_pool2d)[count - 1]
    return function(x, size, stride, [low for low, _ in padding], count_include_pad=False)


def applied(layer: Case, x: Any, weight: Any, bias: Any) -> Any:
    """The layer of that framework that has these settings; x and what comes out are channels last."""
    count = x.dim() - 2
    x = x.movedim(-1, 1)
    kind = layer["type"]
    if "Conv" in kind:
        y = convolved(layer, count, x, weight)
        y = y if bias is None else y + bias.reshape(-1, *[1] * count)
    elif kind.startswith("Upsample"):
        mode = layer.get("interpolation", "nearest")
        size = tuple(map(float, each(layer["size"], count)))
        corners = {} if mode == "nearest" else {"align_corners": False}
        y = functional.interpolate(x, scale_factor=size, mode=mode, **corners)
    elif kind.startswith("Global"):
        return x.flatten(2).mean(2) if "Average" in kind else x.flatten(2).max(2).values
    else:
        y = pooled(layer, count, x)
    return y.movedim(1, -1)


def parameters(layer: Case, shape: list[int]) -> dict[str, list[int]]:
    if "Conv" not in layer["type"]:
        return {}
    count, channels = len(shape) - 2, shape[-1]
    deep = layer["type"].startswith("Depthwise")
    out = channels * layer.get("multiplier", 1) if deep else layer["channels"]
    inside = 1 if deep else channels // layer.get("groups", 1)
    found = {"weight": [*each(layer.get("kernel", 3), count), inside, out]}
    return found | ({"bias": [out]} if layer.get("bias", True) else {})


def recorded(number: int, layer: Case, shape: list[int]) -> dict[str, Any]:
    shapes = {"x": shape, **parameters(layer, shape)}
    given = {name: torch.tensor(drawn(f"{number}/{name}", size), requires_grad=True) for name, size in shapes.items()}
    value = applied(layer, given["x"], given.get("weight"), given.get("bias"))
    (value * torch.tensor(drawn(f"{number}/cotangent", value.shape))).sum().backward()
    return {"value": value.detach().numpy(), **{f"d:{name}": tensor.grad.numpy() for name, tensor in given.items()}}


def plain(**settings: Any) -> Case:
    """Settings without those that are as a layer has them anyway."""
    usual = {"stride": 1, "dilation": 1, "groups": 1, "bias": True, "multiplier": 1, "output_padding": 0}
    return {name: value for name, value in settings.items() if name not in usual or value != usual[name]}


def drawn_case(kind: str, choose: random.Random) -> tuple[Case, list[int]]:
    """One layer of this kind with settings at random, and the shape of what it is given; it may not fit."""
    count = 1 if kind.endswith("1D") else 2

    def axes(*numbers: int) -> Any:
        return choose.choice([choose.choice(numbers), [choose.choice(numbers) for _ in range(count)]])

    shape = [choose.randint(1, 2), *(choose.randint(1, 6) for _ in range(count)), choose.randint(1, 4)]
    symmetric = axes(0, 1, 2)
    border = [[choose.randint(0, 2), choose.randint(0, 2)] for _ in range(count)]
    sliding: Case = {"stride": axes(1, 1, 2, 3), "dilation": axes(1, 1, 1, 2)}
    if "Conv" in kind:
        layer = {"kernel": axes(1, 2, 3, 4), "bias": choose.random() < 0.7, **sliding}
        if kind.startswith("Depthwise"):
            layer["multiplier"] = choose.randint(1, 3)
        else:
            layer["groups"] = choose.choice([1, 1, 2, 3])
            layer["channels"] = layer["groups"] * choose.randint(1, 2)
            shape[-1] = layer["groups"] * choose.randint(1, 3)
        layer["padding"] = choose.choice(["valid", symmetric, border])
        if "Transpose" in kind:  # what is left over is below the stride; that framework allows the dilation too
            layer["output_padding"] = [choose.randint(0, n - 1) for n in each(layer["stride"], count)]
        elif choose.random() < 0.3:
            layer["padding"] = "same"
            layer["stride"] = 1
        elif kind == "Conv1D" and choose.random() < 0.3:
            layer["padding"] = "causal"
        return plain(type=kind, **layer), shape
    if kind.startswith("Upsample"):
        smooth = "linear" if count == 1 else "bilinear"
        return {"type": kind, "size": axes(1, 2, 3), "interpolation": choose.choice(["nearest", smooth])}, shape
    if kind.startswith("Global"):
        return {"type": kind}, shape[: choose.choice([2, 3])] + shape[-1:]
    layer = plain(type=kind, size=axes(1, 2, 3), **sliding)
    if choose.random() < 0.3:
        layer.pop("stride", None)
    layer["padding"] = choose.choice(["valid", symmetric, border])
    if kind.startswith("Average"):  # which has no dilation there, and pads both borders alike
        layer.pop("dilation", None)
        layer["padding"] = choose.choice(["valid", symmetric])
    return layer, shape


COUNTS = {
    "Conv2D": 160, "Conv1D": 80, "DepthwiseConv2D": 50, "DepthwiseConv1D": 20, "ConvTranspose2D": 90,
    "ConvTranspose1D": 50, "MaxPool2D": 60, "MaxPool1D": 30, "AveragePool2D": 40, "AveragePool1D": 20,
    "Upsample2D": 20, "Upsample1D": 10, "GlobalAveragePool": 5, "GlobalMaxPool": 5,
}  # fmt: skip


def fits(arrays: dict[str, Any]) -> bool:
    """Whether there is something to compare, and no window of padding alone."""
    value = arrays["value"]
    return 0 < value.size <= 150 and bool(np.isfinite(value).all())


def main() -> None:
    choose = random.Random(0)
    cases: list[Case] = []
    numbers: list[Any] = []
    fractions: list[Any] = []
    for kind, count in COUNTS.items():
        found = 0
        while found < count:
            layer, shape = drawn_case(kind, choose)
            try:
                arrays = recorded(len(cases), layer, shape)
            except (RuntimeError, ValueError):
                continue  # what does not fit, or is more than that framework can do
            if not fits(arrays):
                continue
            whole = all((array == np.round(array)).all() for array in arrays.values())
            (numbers if whole else fractions).extend(array.ravel() for array in arrays.values())
            shapes = {name: list(array.shape) for name, array in arrays.items()}
            cases.append({"layer": layer, "x": shape, "arrays": shapes, "whole": whole})
            found += 1
    flat = np.concatenate(numbers)
    assert np.abs(flat).max() < 2**15
    path = HERE / "image_layers.npz"
    text = np.frombuffer(json.dumps(cases, separators=(",", ":")).encode(), np.uint8)
    np.savez_compressed(path, cases=text, numbers=flat.astype(np.int16), fractions=np.concatenate(fractions))
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
