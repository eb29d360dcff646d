"""Weights of recurrent layers and attention in the order of PyTorch and Keras, and back: arrays alone, no framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigurationError, ShapeError
from chainrule.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Embedding,
    LayerNorm,
    MultiHeadAttention,
    SimpleRNN,
    TransformerDecoder,
    TransformerEncoder,
)

Array = NDArray[Any]
Arrays = Mapping[str, Any]
_UNITED = (SimpleRNN, LSTM, GRU)
#: Gates in one weight: of the three, ours are in PyTorch's order; Keras has update and reset of a GRU the other way.
_GATES = {SimpleRNN: 1, LSTM: 4, GRU: 3}
#: The parts of a block: its path here, its name in PyTorch, and what layer it is.
_ENCODER = (
    ("attention", "self_attn", "attention"), ("attention_norm", "norm1", "norm"), ("network_norm", "norm2", "norm"),
    ("hidden", "linear1", "dense"), ("output", "linear2", "dense"),
)  # fmt: skip
_DECODER = (
    ("attention", "self_attn", "attention"), ("attention_norm", "norm1", "norm"),
    ("memory", "multihead_attn", "attention"), ("memory_norm", "norm2", "norm"), ("network_norm", "norm3", "norm"),
    ("hidden", "linear1", "dense"), ("output", "linear2", "dense"),
)  # fmt: skip


def from_pytorch(layer: Any, arrays: Arrays) -> dict[str, Array]:
    """The parameters of a layer by path, from the ``state_dict`` of PyTorch's: `LSTM` from torch.nn.LSTM, and so on.

    ``arrays`` are by PyTorch's names ("weight_ih_l0", "in_proj_weight"), of whatever turns into a NumPy array. The two
    biases of a recurrent layer are added, but for the new gate of a `GRU`, where the second has a row of its own.

    Raises `ConfigurationError` for a layer that PyTorch does not have, or that has no bias where the arrays have one.

    >>> found = from_pytorch(Dense(2), {"weight": np.ones((2, 3)), "bias": np.zeros(2)})
    >>> found["weight"].shape
    (3, 2)
    """
    given = {name: np.asarray(array) for name, array in arrays.items()}
    return _reading(layer)(layer, _Given(given, type(layer).__name__))


def to_pytorch(layer: Any, parameters: Arrays) -> dict[str, Array]:
    """What PyTorch's layer loads, by its names, from a layer's parameters by path: the way back of `from_pytorch`.

    The second bias of a recurrent layer is 0, but for the new gate of a `GRU`.

    >>> list(to_pytorch(Embedding(3, 2), {"weight": np.ones((3, 2))}))
    ['weight']
    """
    given = {name: np.asarray(array) for name, array in parameters.items()}
    return _writing(layer)(layer, _Given(given, type(layer).__name__))


def from_keras(layer: SimpleRNN | LSTM | GRU, arrays: Sequence[Any]) -> dict[str, Array]:
    """The parameters of a recurrent layer by path, from ``get_weights()`` of Keras's: kernel, recurrent kernel, bias.

    >>> found = from_keras(GRU(2), [np.ones((3, 6)), np.ones((2, 6)), np.ones((2, 6))])
    >>> found["weight"].shape, found["bias"].shape
    ((3, 3, 2), (4, 2))
    """
    _recurrent(layer)
    if len(arrays) != 2 + layer.bias:
        raise ShapeError(
            f"{layer!r}: {2 + layer.bias} arrays were expected (kernel, recurrent kernel, bias), not {len(arrays)}"
        )
    gates = _GATES[type(layer)]
    weight, recurrent, *bias = (_cut(np.asarray(array), gates, layer.units) for array in arrays)
    if isinstance(layer, GRU):
        weight, recurrent, *bias = (array[..., [1, 0, 2], :] for array in (weight, recurrent, *bias))
        if bias and layer.reset_after:
            first, second = bias[0]
            bias = [np.concatenate([first + [[1.0], [1.0], [0.0]] * second, second[2:]])]
    found = {"weight": weight, "recurrent_weight": recurrent} | ({"bias": bias[0]} if bias else {})
    return {path: array[..., 0, :] if gates == 1 else array for path, array in found.items()}


def to_keras(layer: SimpleRNN | LSTM | GRU, parameters: Arrays) -> list[Array]:
    """What ``set_weights`` of Keras's layer takes, from a layer's parameters by path: the way back of `from_keras`.

    >>> parameters = {"weight": np.ones((3, 4, 2)), "recurrent_weight": np.ones((2, 4, 2))}
    >>> [array.shape for array in to_keras(LSTM(2, bias=False), parameters)]
    [(3, 8), (2, 8)]
    """
    _recurrent(layer)
    names = ["weight", "recurrent_weight", "bias"][: 2 + layer.bias]
    arrays = [np.asarray(parameters[name]) for name in names]
    if isinstance(layer, LSTM) and layer.peepholes:
        raise ConfigurationError("Keras has no LSTM with peepholes")
    if isinstance(layer, SimpleRNN):
        return arrays
    if isinstance(layer, GRU):
        if layer.bias and layer.reset_after:
            own = arrays[2][:3]
            arrays[2] = np.stack([own, np.concatenate([np.zeros_like(own[:2]), arrays[2][3:]])])
        arrays = [array[..., [1, 0, 2], :] for array in arrays]
    return [array.reshape(*array.shape[:-2], -1) for array in arrays]


class _Given:
    """Arrays by name, below a prefix, with words for one that is missing."""

    def __init__(self, arrays: Arrays, who: str, prefix: str = "") -> None:
        self._arrays, self._who, self.prefix = arrays, who, prefix

    def __getitem__(self, name: str) -> Array:
        try:
            array: Array = self._arrays[self.prefix + name]
        except KeyError:
            there = ", ".join(self._arrays)
            raise ConfigurationError(f"{self._who}: there is no {self.prefix + name}; there are {there}") from None
        return array

    def below(self, prefix: str) -> _Given:
        return _Given(self._arrays, self._who, self.prefix + prefix)


def _cut(array: Array, gates: int, units: int) -> Array:
    if array.shape[-1] != gates * units:
        raise ShapeError(f"{gates} gates of {units} units are {gates * units} columns, and these are {array.shape[-1]}")
    return array.reshape(*array.shape[:-1], gates, units)


def _recurrent(layer: Any) -> None:
    if not isinstance(layer, _UNITED):
        raise ConfigurationError(f"the recurrent layers of Keras are SimpleRNN, LSTM and GRU, and this is {layer!r}")


def _read_recurrent(layer: Any, given: _Given, end: str = "_l0") -> dict[str, Array]:
    _check_pytorch(layer)
    gates = _GATES[type(layer)]
    found = {
        name: _cut(given[f"weight_{kind}{end}"].T, gates, layer.units)
        for name, kind in (("weight", "ih"), ("recurrent_weight", "hh"))
    }
    if layer.bias:
        own, past = (_cut(given[f"bias_{kind}{end}"], gates, layer.units) for kind in ("ih", "hh"))
        whole = own + past
        found["bias"] = np.concatenate([whole[:2], own[2:], past[2:]]) if isinstance(layer, GRU) else whole
    return {path: array[..., 0, :] if gates == 1 else array for path, array in found.items()}


def _write_recurrent(layer: Any, given: _Given, end: str = "_l0") -> dict[str, Array]:
    _check_pytorch(layer)
    width = _GATES[type(layer)] * layer.units
    kinds = (("weight", "ih"), ("recurrent_weight", "hh"))
    found: dict[str, Array] = {f"weight_{kind}{end}": given[name].reshape(-1, width).T for name, kind in kinds}
    if layer.bias:
        own = given["bias"].reshape(-1, layer.units)
        past = np.zeros_like(own)
        if isinstance(layer, GRU):
            own, past = own[:3], np.concatenate([past[:2], own[3:]])
        found |= {f"bias_ih{end}": own.reshape(-1), f"bias_hh{end}": past.reshape(-1)}
    return found


def _check_pytorch(layer: Any) -> None:
    if isinstance(layer, LSTM) and layer.peepholes:
        raise ConfigurationError("PyTorch has no LSTM with peepholes")
    if isinstance(layer, GRU) and not layer.reset_after:
        raise ConfigurationError("PyTorch has no GRU that resets before the product; take GRU(…, reset_after=True)")


_WAYS = (("forward", "_l0"), ("backward", "_l0_reverse"))


def _read_ways(layer: Any, given: _Given) -> dict[str, Array]:
    return {
        f"{way}.{name}": array for way, end in _WAYS for name, array in _read_recurrent(layer.layer, given, end).items()
    }


def _write_ways(layer: Any, given: _Given) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for way, end in _WAYS:
        found |= _write_recurrent(layer.layer, given.below(f"{way}."), end)
    return found


def _read_dense(layer: Any, given: _Given) -> dict[str, Array]:
    return {"weight": given["weight"].T} | ({"bias": given["bias"]} if layer.bias else {})


def _read_attention(layer: Any, given: _Given) -> dict[str, Array]:
    parts = ("query", "key", "value")
    found = dict(zip((f"{part}.weight" for part in parts), np.split(given["in_proj_weight"].T, 3, -1), strict=True))
    found["output.weight"] = given["out_proj.weight"].T
    if layer.bias:
        found |= zip((f"{part}.bias" for part in parts), np.split(given["in_proj_bias"], 3), strict=True)
        found["output.bias"] = given["out_proj.bias"]
    return found


def _write_attention(layer: Any, given: _Given) -> dict[str, Array]:
    parts = ("query", "key", "value")
    found = {"in_proj_weight": np.concatenate([given[f"{part}.weight"].T for part in parts])}
    found["out_proj.weight"] = given["output.weight"].T
    if layer.bias:
        found["in_proj_bias"] = np.concatenate([given[f"{part}.bias"] for part in parts])
        found["out_proj.bias"] = given["output.bias"]
    return found


def _parts(layer: Any) -> list[tuple[str, str, Any]]:
    kinds = {"attention": MultiHeadAttention(layer.heads), "norm": LayerNorm(), "dense": Dense(1)}
    return [
        (path, name, kinds[kind]) for path, name, kind in (_ENCODER if type(layer) is TransformerEncoder else _DECODER)
    ]


def _read_block(layer: Any, given: _Given) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for path, name, part in _parts(layer):
        found |= {f"{path}.{own}": array for own, array in _reading(part)(part, given.below(f"{name}.")).items()}
    return found


def _write_block(layer: Any, given: _Given) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for path, name, part in _parts(layer):
        found |= {f"{name}.{own}": array for own, array in _writing(part)(part, given.below(f"{path}.")).items()}
    return found


_Function = Callable[[Any, _Given], dict[str, Array]]
_READING: dict[type, _Function] = {
    **dict.fromkeys(_UNITED, _read_recurrent), Bidirectional: _read_ways, Dense: _read_dense,
    Embedding: lambda layer, given: {"weight": given["weight"]},
    LayerNorm: lambda layer, given: {"scale": given["weight"], "shift": given["bias"]},
    MultiHeadAttention: _read_attention, TransformerEncoder: _read_block, TransformerDecoder: _read_block,
}  # fmt: skip
_WRITING: dict[type, _Function] = {
    **dict.fromkeys(_UNITED, _write_recurrent), Bidirectional: _write_ways, Dense: _read_dense,
    Embedding: lambda layer, given: {"weight": given["weight"]},
    LayerNorm: lambda layer, given: {"weight": given["scale"], "bias": given["shift"]},
    MultiHeadAttention: _write_attention, TransformerEncoder: _write_block, TransformerDecoder: _write_block,
}  # fmt: skip


def _reading(layer: Any) -> _Function:
    return _of(_READING, layer)


def _writing(layer: Any) -> _Function:
    return _of(_WRITING, layer)


def _of(table: Mapping[type, _Function], layer: Any) -> _Function:
    if type(layer) not in table:
        known = ", ".join(kind.__name__ for kind in table)
        raise ConfigurationError(f"PyTorch's order is known of {known}, and not of {layer!r}")
    return table[type(layer)]
