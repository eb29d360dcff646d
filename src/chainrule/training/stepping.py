"""A recurrent language model one token at a time: its states are handed on, so that nothing is computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.engines.protocol import Array, Engine
from chainrule.graph import Node
from chainrule.layers import Chain, Dense, Dropout, Embedding, LayerNorm
from chainrule.layers.recurrence import Looping
from chainrule.layers.scope import AnyLayer, Scope
from chainrule.training.batch import Batch, DataSpec
from chainrule.training.step import StepState, build_measure

#: Layers that treat each position by itself.
_EACH = (Embedding, Dense, Dropout, LayerNorm)


class Stepper:
    """The logits of one token after the other, (symbols,), by a chain of layers of which some hand on a state.

    ``layers`` are those of the training step, each with its path there; ``state`` has the parameters by name.
    """

    def __init__(
        self, model: Any, layers: tuple[tuple[AnyLayer, str], ...], engine: Engine, dtype: str, state: dict[str, Array]
    ) -> None:
        path = {id(layer): path for layer, path in layers}
        looping = {place: _Unrolled(layer) for place, layer in enumerate(model.layers) if isinstance(layer, Looping)}
        parts = [looping.get(place, layer) for place, layer in enumerate(model.layers)]
        sizes = [size for one in looping.values() for size in one.layer.sizes]
        shapes = [size if isinstance(size, tuple) else (size,) for size in sizes]
        step = _Step(tuple(parts), tuple(looping.values()))
        known = [*layers, (step, path[id(model)]), *((one, path[id(one.layer)]) for one in looping.values())]

        def measure(state: StepState, batch: Batch) -> dict[str, Node]:
            logits = state.apply(step, batch["token"], *(batch[f"state {n}"] for n in range(len(shapes))))
            ends = [end for one in step.looping for end in one.ends]
            return {"logits": logits, **{f"state {n}": end for n, end in enumerate(ends)}}

        arrays: dict[str, Any] = {"token": ((1,), "int32")}
        arrays |= {f"state {n}": (shape, dtype) for n, shape in enumerate(shapes)}
        self._program = engine.compile(build_measure(measure, DataSpec(1, arrays), 1, dtype, known).graph)
        self._fixed = {name: state[name] for name in self._program.graph.inputs if name in state}
        self._states = {f"state {n}": np.zeros((1, *shape), dtype) for n, shape in enumerate(shapes)}

    def __call__(self, tokens: Sequence[int]) -> Array:
        """The logits of what comes after these tokens, and all those before."""
        return [self._step(token) for token in tokens][-1]

    def _step(self, token: int) -> Array:
        given = {f"batch/{name}": array for name, array in self._states.items()}
        given["batch/token"] = np.full((1, 1), token, np.int32)
        found = self._program.run({**self._fixed, **given})
        self._states = {name: np.array(found[name]) for name in self._states}
        logits: Array = np.array(found["logits"][0, 0])
        return logits


def steps_alone(model: Any) -> bool:
    """Whether a model can be taken step by step: a chain of recurrent layers, and of layers for each position."""
    if not isinstance(model, Chain) or not any(isinstance(layer, Looping) for layer in model.layers):
        return False
    return all(
        type(layer) in _EACH
        or (isinstance(layer, Looping) and layer.sequences and not layer.backwards and not layer.carry)
        for layer in model.layers
    )


class _Unrolled:
    """A recurrent layer that is given its state, and keeps aside the one after it."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.ends: tuple[Node, ...] = ()

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, 1, features) and the state -> (batch, 1, units)."""
        output: Node
        output, self.ends = self.layer.unroll(scope, *inputs)
        return output


class _Step:
    """A chain whose recurrent layers are given the states that stand after its input."""

    def __init__(self, parts: tuple[Any, ...], looping: tuple[_Unrolled, ...]) -> None:
        self.parts, self.looping = parts, looping

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """A token (batch, 1) and the states -> logits (batch, 1, symbols)."""
        x, *states = inputs
        for place, part in enumerate(self.parts):
            count = len(part.layer.sizes) if isinstance(part, _Unrolled) else 0
            x = scope.apply(part, x, *states[:count], name=place)
            states = states[count:]
        return x
