"""From arrays by name to a table of addresses: what a single run of a program needs before it can be called.

A run of a small network is over in microseconds, so whatever does not depend on the arrays is known beforehand.
"""

from __future__ import annotations

import ctypes
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
    of the same name. The table has an address for each input, then for each constant, then for each output.
    """

    def __init__(
        self, graph: Graph, inputs: Sequence[str], constants: Sequence[Array], replaced: Collection[str]
    ) -> None:
        self._graph = graph
        #: Every input of the graph is checked; the code may want fewer of them, and has an order of its own.
        self._checked = [(name, node.shape, np.dtype(node.dtype)) for name, node in graph.inputs.items()]
        numbers = {name: number for number, (name, _, _) in enumerate(self._checked)}
        self._read = [numbers[name] for name in inputs]
        self._constants = [address(array) for array in constants]
        #: Name, shape and dtype, and the input that is written over, or -1.
        self._outputs = [
            (name, node.shape, np.dtype(node.dtype), numbers[name] if name in replaced else -1)
            for name, node in graph.outputs.items()
        ]

    def bind(self, arrays: Arrays) -> tuple[list[Array], list[int], dict[str, Array]]:
        """The arrays that are read, which the caller keeps while the program runs; the table; and the outputs."""
        given: list[Array] = []
        for name, shape, dtype in self._checked:
            array = arrays.get(name)
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                given = self._required(arrays)
                break
            given.append(array)
        outputs: dict[str, Array] = {}
        for name, shape, dtype, over in self._outputs:
            if over < 0:
                outputs[name] = np.empty(shape, dtype)
            else:
                given[over] = outputs[name] = given[over].copy()
        read = [given[number] for number in self._read]
        try:
            # Of each it is asked that its elements lie one after the other.
            table = [_addressof(_first_byte(array)) for array in read]
        except (TypeError, ValueError):
            given = [np.require(array, requirements=["C", "A"]) for array in read]
            table = [array.ctypes.data for array in given]
        table += self._constants
        table += [address(array) for array in outputs.values()]
        return given, table, outputs

    def _required(self, arrays: Arrays) -> list[Array]:
        """What is no array, or one of another byte order, as an array that the code can read, if it fits at all."""
        check_arrays(self._graph, arrays)
        return [np.require(arrays[name], dtype, ["C", "A"]) for name, _, dtype in self._checked]
