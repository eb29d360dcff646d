"""A language model one token at a time: what its layers keep is handed on, so that nothing is computed twice.

One graph takes a token, goes on by a position and draws the next, so that many tokens come from one call of an engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule import graph
from chainrule.engines.protocol import Array, Engine, Program
from chainrule.errors import CannotGoOnError, ConfigurationError, GraphError
from chainrule.graph import Build, Graph, Node, scope
from chainrule.keys import Key
from chainrule.layers.going_on import each_by_itself
from chainrule.layers.scope import AnyLayer, Applied, Going, Record
from chainrule.training.drawing import drawn, settings
from chainrule.training.sampling import Sampling
from chainrule.training.step import StepState

#: Tokens that one call of the engine takes at most, so that Ctrl-C is answered soon.
_BLOCK = 64
#: So many texts go on side by side: a program is compiled for each of these numbers, and for no others.
SIZES = (1, 4, 8, 16)

Layers = Sequence[tuple[AnyLayer, str]]
#: The numbers of the tokens of some texts.
Texts = Sequence[Sequence[int]]
State = Mapping[str, Array]
Built = tuple[Program, dict[str, Array], bool]


def first_seen(known: int, positions: int) -> int:
    """The token that stands at the first position, where so many are known.

    All are seen while there are positions for them; then the first half is forgotten, each time that they are full.

    >>> [first_seen(known, 4) for known in (1, 4, 5, 6, 7, 8)]
    [0, 0, 2, 2, 4, 4]
    """
    forgotten = positions - positions // 2
    return max(-(-(known - positions) // forgotten), 0) * forgotten


class Stepper:
    """A model that goes on token by token, for at most so many ``positions`` where it keeps something for each.

    ``layers`` are those of the training step, each with its path there; they say by `go_on` how they go on, and
    what treats each position by itself needs not. Raises `CannotGoOnError` for a model that cannot.
    """

    def __init__(self, model: AnyLayer, layers: Layers, engine: Engine, dtype: str, positions: int) -> None:
        self._model, self._layers, self._engine = model, layers, engine
        self._dtype, self._positions = dtype, positions
        self._programs: dict[Any, Built] = {}
        refuse_mixing(model, layers, dtype, positions)
        self._graph(None)

    def logits(self, tokens: Sequence[int], state: Mapping[str, Array]) -> Array:
        """What the model says after each of some tokens, (tokens, symbols), from the first on."""
        program, first, _ = self._built(None)
        each = {"given": np.array(tokens, np.int32)[:, None], "position": np.arange(len(tokens), dtype=np.int32)}
        found: Array = program.repeat(first, _fixed(program, first, state), each)[1]["logits"][:, 0]
        return found

    def continued(
        self, known: Texts, keys: Sequence[Key], length: int, sampling: Sampling, never: Collection[int], state: State
    ) -> Iterator[list[list[int]]]:
        """Texts gone on with, side by side: some tokens at a time of each, each drawn by a child of its text's key.

        All stand at one position: a text whose known tokens end sooner begins to be drawn sooner. Of more texts than
        go on together, some come after the others.
        """
        place = 0
        while place < len(known):
            part = slice(place, place + max(size for size in SIZES if size <= len(known) - place))
            before, after = [list[int]()] * place, [list[int]()] * (len(known) - part.stop)
            for fresh in self._together(known[part], keys[part], length, sampling, never, state):
                yield [*before, *fresh, *after]
            place = part.stop

    def _together(
        self, known: Texts, keys: Sequence[Key], length: int, sampling: Sampling, never: Collection[int], state: State
    ) -> Iterator[list[list[int]]]:
        rows = len(known)
        program, first, bounded = self._built(sampling, tuple(never), rows)
        given = {f"sampling/{name}": np.array(value) for name, value in settings(sampling).items()}
        fixed = {**_fixed(program, first, state), **given}
        starts = [len(one) for one in known]
        ends = [start + length for start in starts]
        # A column a place; -1 where nothing is known yet.
        tokens = np.full((rows, max(ends)), -1, np.int32)
        for row, one in enumerate(known):
            tokens[row, : len(one)] = one
        reached, told = min(starts), [*starts]
        while reached < max(ends):
            begin = first_seen(reached, self._positions) if bounded else 0
            stop = min(begin + self._positions, max(ends) - 1) if bounded else max(ends) - 1
            now: Mapping[str, Array] = first
            for place in range(begin, stop, _BLOCK):
                here, after = slice(place, min(place + _BLOCK, stop)), slice(place + 1, min(place + _BLOCK, stop) + 1)
                used = np.zeros((here.stop - place, rows))
                for row, (key, start, end) in enumerate(zip(keys, starts, ends, strict=True)):
                    low, high = max(after.start, start), min(after.stop, end)
                    if low < high:
                        used[low - after.start : high - after.start, row] = key.numbers(high - low, low - start)
                places = np.arange(here.start, here.stop, dtype=np.int32) - np.int32(begin)
                each = {"given": tokens[:, here].T, "position": places, "number": used}
                now, found = program.repeat(now, fixed, each)
                tokens[:, after] = np.where(tokens[:, after] < 0, found["token"].T, tokens[:, after])
                reached = max(reached, after.stop)
                fresh = [tokens[row, told[row] : min(reached, end)].tolist() for row, end in enumerate(ends)]
                told = [max(place, min(reached, end)) for place, end in zip(told, ends, strict=True)]
                if any(fresh):
                    yield fresh

    def _built(self, sampling: Sampling | None, never: tuple[int, ...] = (), rows: int = 1) -> Built:
        """The program, what it hands on as it is at first, and whether positions come to an end."""
        kind = rows, None if sampling is None else (sampling.temperature == 0, tuple(settings(sampling)), never)
        if kind not in self._programs:
            built, first, bounded = self._graph(sampling, never, rows)
            self._programs[kind] = self._engine.compile(built), first, bounded
        return self._programs[kind]

    def _graph(
        self, sampling: Sampling | None, never: tuple[int, ...] = (), rows: int = 1
    ) -> tuple[Graph, dict[str, Array], bool]:
        with Build() as build:
            record = Record(self._dtype, paths={id(layer): path for layer, path in self._layers})
            record.going = Going(graph.input("position", (), "int32"), self._positions)
            outputs = {**self._outputs(record, sampling, never, rows), **record.going.handed}
        handed = record.going.handed
        first: dict[str, Array] = {name: np.zeros(node.shape, node.dtype) for name, node in handed.items()}
        if sampling is not None:
            first["last"] = np.zeros(rows, np.int32)
        return Graph.of(outputs, build), first, record.going.bounded

    def _outputs(self, record: Record, sampling: Sampling | None, never: tuple[int, ...], rows: int) -> dict[str, Node]:
        token = graph.input("given", (rows,), "int32")
        if sampling is not None:
            token = graph.select(graph.lt(token, 0), graph.input("last", (rows,), "int32"), token)
        logits = StepState(record, training=False).apply(self._model, graph.reshape(token, (rows, 1)))[:, 0]
        with scope("sampling", absolute=True):
            if sampling is None:
                return {"logits": logits}
            symbol = drawn(logits, graph.input("number", (rows,), "float64"), sampling, never)
            return {"token": symbol, "last": symbol}


def refuse_mixing(model: AnyLayer, layers: Layers, dtype: str, positions: int) -> None:
    """Raise `CannotGoOnError` where positions meet but in a layer that says how it goes on."""
    if positions < 2:
        raise CannotGoOnError("a model of one position has nothing to go on from")
    found = []
    for length in (positions, positions - 1):
        with Build():
            record = Record(dtype, paths={id(layer): path for layer, path in layers})
            tokens = graph.input("tokens", (1, length), "int32")
            try:
                output = StepState(record, training=False).apply(model, tokens)
            except GraphError as error:
                raise CannotGoOnError(f"a layer wants {positions} positions, no fewer: {error}") from error
        says = _speaking(record.applied)
        apart = {tokens, *(one.node for one in says if one.node is not None)}
        wanted = [output, *(node for one in says for node in one.given)]
        if length == positions and not each_by_itself(wanted, apart):
            raise CannotGoOnError("a layer looks at several positions, and does not say how it goes on by one")
        found.append([_number_in(node) for node in graph.topological(wanted, stop=apart)])
    if found[0] != found[1]:
        raise CannotGoOnError("a layer does other things where there are more positions")


def _speaking(applied: Sequence[Applied]) -> list[Applied]:
    """The layers that say how they go on; not those inside of them."""
    found: list[Applied] = []
    around: Applied | None = None
    for one in applied:
        if around is not None and one.depth > around.depth:
            continue
        around = one if hasattr(one.layer, "go_on") else None
        found += [one] if around is not None else []
    return found


def _number_in(node: Node) -> bytes | float | None:
    """The number that a node has in it, if there is one; what has axes may differ in their sizes."""
    if node.op == "constant" and not node.shape:
        return bytes(node.attributes["value"].tobytes())
    return node.attributes["exponent"] if node.op == "power" else None


def _fixed(program: Program, first: Mapping[str, Array], state: Mapping[str, Array]) -> dict[str, Array]:
    ours = {"given", "position", "number", *first}
    wanted = [name for name in program.graph.inputs if name not in ours and not name.startswith("sampling/")]
    missing = [name for name in wanted if name not in state]
    if missing:
        raise ConfigurationError(f"this run has learned nothing for {', '.join(missing)}: the model is not part of it")
    return {name: state[name] for name in wanted}
