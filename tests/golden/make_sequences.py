"""Make the golden arrays of the layers of sequences, in another framework, in float64.

    python -m venv golden && golden/bin/pip install torch==2.13.0 numpy
    golden/bin/python tests/golden/make_sequences.py

writes sequences.npz: for each case "CASE/x" and other inputs, "CASE/weights/NAME" by that framework's names,
"CASE/value", and for L = Σ cotangent·value, the cotangent cos(0), cos(1), … row by row, "CASE/d:x" and
"CASE/d/NAME". Of two biases that are only ever added, the second has no gradient in the file: together they are one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import gelu

HERE = Path(__file__).parent
LENGTHS = torch.tensor([5, 2, 4])
WIDTH, UNITS = 4, 3
arrays: dict[str, Any] = {}


def recorded(name: str, module: Any, value: Any, **inputs: Any) -> None:
    cotangent = torch.cos(torch.arange(value.numel(), dtype=torch.float64)).reshape(value.shape)
    floats = {k: v for k, v in inputs.items() if v.is_floating_point()}
    named = dict(module.named_parameters())
    slopes = torch.autograd.grad((value * cotangent).sum(), [*floats.values(), *named.values()])
    arrays.update({f"{name}/{key}": node.detach().numpy() for key, node in inputs.items()})
    arrays.update({f"{name}/weights/{key}": node.detach().numpy() for key, node in named.items()})
    arrays[f"{name}/value"] = value.detach().numpy()
    arrays.update({f"{name}/d:{key}": slope.numpy() for key, slope in zip(floats, slopes, strict=False)})
    for key, slope in zip(named, slopes[len(floats) :], strict=True):
        one = slope.numpy().copy()
        if key.startswith("bias_hh"):
            one[: 2 * UNITS if isinstance(module, nn.GRU) else None] = 0.0
        arrays[f"{name}/d/{key}"] = one


def drawn(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def made(module: Any) -> Any:
    """With parameters that are all drawn anew: some start at 0 or 1."""
    module = module.double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0.0, 0.5)
    return module


def unpacked(module: Any, x: Any) -> Any:
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True)[0]


def recurrent() -> None:
    for name, kind in (("SimpleRNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)):
        for ways in (False, True):
            module = made(kind(WIDTH, UNITS, batch_first=True, bidirectional=ways))
            x = drawn(3, 5, WIDTH)
            recorded(f"{name}/{ways}/whole", module, module(x)[0], x=x)
            x = drawn(3, 5, WIDTH)
            recorded(f"{name}/{ways}/lengths", module, unpacked(module, x), x=x, lengths=LENGTHS)
        module = made(kind(WIDTH, UNITS, batch_first=True))
        x, state = drawn(3, 5, WIDTH), drawn(3, UNITS)
        if kind is nn.LSTM:
            cell = drawn(3, UNITS)
            recorded(f"{name}/state", module, module(x, (state[None], cell[None]))[0], x=x, s0=state, s1=cell)
        else:
            recorded(f"{name}/state", module, module(x, state[None])[0], x=x, s0=state)


def attention() -> None:
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    padding = torch.arange(5)[None] >= LENGTHS[:, None]
    for name, options in {
        "plain": {}, "causal": {"attn_mask": later}, "padding": {"key_padding_mask": padding},
    }.items():  # fmt: skip
        module, x = made(nn.MultiheadAttention(WIDTH, 2, batch_first=True)), drawn(3, 5, WIDTH)
        y = module(x, x, x, need_weights=False, **options)[0]
        if name == "padding":
            y = y * (~padding)[..., None]  # rows of padding do not count
        more = {"lengths": LENGTHS} if name == "padding" else {}
        recorded(f"attention/{name}", module, y, x=x, **more)
    module, x, memory = made(nn.MultiheadAttention(WIDTH, 2, batch_first=True)), drawn(3, 2, WIDTH), drawn(3, 5, WIDTH)
    y = module(x, memory, memory, need_weights=False, key_padding_mask=padding)[0]
    recorded("attention/memory", module, y, x=x, memory=memory, lengths=LENGTHS)


def blocks() -> None:
    settings: Any = {"dim_feedforward": 6, "dropout": 0.0, "batch_first": True}
    settings["activation"] = partial(gelu, approximate="tanh")
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    for first in (True, False):
        module, x = made(nn.TransformerEncoderLayer(WIDTH, 2, norm_first=first, **settings)), drawn(3, 5, WIDTH)
        recorded(f"encoder/{first}", module, module(x), x=x)
        module, x = made(nn.TransformerEncoderLayer(WIDTH, 2, norm_first=first, **settings)), drawn(3, 5, WIDTH)
        recorded(f"encoder/{first}/causal", module, module(x, src_mask=later), x=x)
        module = made(nn.TransformerDecoderLayer(WIDTH, 2, norm_first=first, **settings))
        x, memory = drawn(3, 5, WIDTH), drawn(3, 4, WIDTH)
        recorded(f"decoder/{first}", module, module(x, memory, tgt_mask=later), x=x, memory=memory)


if __name__ == "__main__":
    torch.manual_seed(0)
    recurrent()
    attention()
    blocks()
    np.savez_compressed(HERE / "sequences.npz", **arrays)
    print(len(arrays), "arrays,", (HERE / "sequences.npz").stat().st_size // 1024, "kB")
