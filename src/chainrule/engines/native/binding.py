"""From arrays by name to a table of addresses: what a single run of a program needs before it can be called.

A run of a small network is over in microseconds, so whatever does not depend on the arrays is known beforehand.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from chainrule.engines.protocol import Array, Arrays, check_arrays
from chainrule.graph import Graph

_addressof = ctypes.addressof
_first_byte: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer


def address(array: Array) -> int:
    """Where the elements of an array begin."""
    try:
        # The way by array.ctypes takes four times as long, but it knows arrays that are read-only, or empty.
        return _addressof(_first_byte(array))
    except (TypeError, ValueError):
        return int(array.ctypes.data)


class Binding:
    """The inputs and outputs of a program: arrays that were given are checked, and new ones are made.

    ``inputs`` are those that the code reads, in its order, and ``replaced`` the outputs that it writes over the input
    of the same name. The ``table`` has an address for each input, then for each constant, then for each output.
    An array that was given the last time too, as parameters are, has its address there already.
    """

    def __init__(
        self, graph: Graph, inputs: Sequence[str], constants: Sequence[Array], replaced: Collection[str]
    ) -> None:
        self._graph = graph
        self.table = (ctypes.c_void_p * (len(inputs) + len(constants) + len(graph.outputs)))()
        slots = {name: slot for slot, name in enumerate(inputs)}
        #: Every input of the graph is checked; the code may want fewer of them, and has an order of its own.
        self._checked = [
            (number, name, node.shape, np.dtype(node.dtype), slots.get(name, -1))
            for number, (name, node) in enumerate(graph.inputs.items())
        ]
        #: The arrays of the last time; what is large and no longer needed is not kept for it.
        self._last: list[Callable[[], Array | None]] = [_nothing] * len(self._checked)
        for slot, array in enumerate(constants, len(inputs)):
            self.table[slot] = address(array)
        numbers = {name: number for number, name, *_ in self._checked}
        #: Slot, name, shape and dtype, and the input that is written over, or -1.
        self._outputs = [
            (slot, name, node.shape, np.dtype(node.dtype), numbers[name] if name in replaced else -1)
            for slot, (name, node) in enumerate(graph.outputs.items(), len(inputs) + len(constants))
        ]

    def bind(self, arrays: Arrays) -> tuple[list[Array], dict[str, Array]]:
        """Fill the table; gives the arrays that are read, which the caller keeps as long, and the outputs."""
        table, last = self.table, self._last
        given: list[Array] = []
        for number, name, shape, dtype, slot in self._checked:
            array: Array | None = arrays.get(name)
            known = last[number]()
            if known is array and known is not None:
                given.append(known)
                continue
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                given = self._required(arrays)
                break
            try:
                # Of each it is asked that its elements lie one after the other.
                place = _addressof(_first_byte(array))
                last[number] = weakref.ref(array)
            except (TypeError, ValueError):
                array = np.require(array, requirements=["C", "A"])
                place = array.ctypes.data
                last[number] = _nothing
            if slot >= 0:
                table[slot] = place
            given.append(array)
        outputs: dict[str, Array] = {}
        for slot, name, shape, dtype, over in self._outputs:
            if over < 0:
                array = np.empty(shape, dtype)
            else:
                given[over] = array = given[over].copy()
                table[self._checked[over][4]] = address(array)
                last[over] = _nothing
            outputs[name] = array
            table[slot] = address(array)
        return given, outputs

    def _required(self, arrays: Arrays) -> list[Array]:
        """What is no array, or one of another byte order, as an array that the code can read, if it fits at all."""
        check_arrays(self._graph, arrays)
        given = [np.require(arrays[name], dtype, ["C", "A"]) for _, name, _, dtype, _ in self._checked]
        for array, (number, _, _, _, slot) in zip(given, self._checked, strict=True):
            self._last[number] = _nothing
            if slot >= 0:
                self.table[slot] = array.ctypes.data
        return given


def _nothing() -> None:
    return None
