"""The last layer of LeNet-5: how far what the network drew is from a drawing of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.layers import Scope
from chainrule.layers.scope import one_input

#: Digits on 7×12 points, as the paper has all characters; these drawings are ours.
_DRAWN = """\
..###..  ...#...  .#####.  #######  ....##.  #######  ..####.  #######  .#####.  .####..
.#...#.  ..##...  #.....#  .....#.  ...#.#.  #......  .#.....  #.....#  #.....#  #....#.
#.....#  .#.#...  ......#  ....#..  ..#..#.  #......  #......  ......#  #.....#  #.....#
#.....#  ...#...  ......#  ...#...  .#...#.  #.###..  #......  .....#.  #.....#  #.....#
#.....#  ...#...  .....#.  ..###..  #....#.  ##...#.  #.####.  ....#..  .#####.  #....##
#.....#  ...#...  ...##..  .....#.  #....#.  ......#  ##....#  ....#..  #.....#  .####.#
#.....#  ...#...  ..#....  ......#  #######  ......#  #.....#  ...#...  #.....#  ......#
#.....#  ...#...  .#.....  ......#  .....#.  ......#  #.....#  ...#...  #.....#  ......#
.#...#.  ...#...  #......  #.....#  .....#.  #....#.  .#....#  ...#...  #.....#  .....#.
..###..  .#####.  #######  .#####.  .....#.  .####..  ..####.  ...#...  .#####.  .####..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
.......  .......  .......  .......  .......  .......  .......  .......  .......  .......
"""
#: The code of each digit, row after row.
DIGITS = tuple("".join(row) for row in zip(*(line.split() for line in _DRAWN.splitlines()), strict=True))


@dataclass(frozen=True)
class CodeDistance:
    """How near each sample is to each of some fixed codes: y_i = -Σ_j (x_j - c_ij)².

    x is (batch, n); ``codes`` are texts of n marks, one for each class, "#" for 1 and "." for -1. Nothing here is
    learned: the layers before learn to give the code of the class. The negative of the squared distance is a logit: by
    cross-entropy, the loss is y_D + log Σ e^(-y_i) of the paper's distances y, with D the right class.

    Raises `ShapeError` where the codes are of another length than the samples.

    >>> CodeDistance(("#.", ".#")).codes
    ('#.', '.#')

    Reference: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, section II.B.
    """

    codes: tuple[str, ...]

    def __post_init__(self) -> None:
        codes = tuple(self.codes) if isinstance(self.codes, list | tuple) else ()
        marks = all(isinstance(code, str) and code and not set(code) - set("#.") for code in codes)
        if len(codes) < 2 or not marks or len({len(code) for code in codes}) > 1:
            raise ConfigurationError(
                f"CodeDistance: codes are two or more texts of # and ., all of one length, not {self.codes!r}"
            )
        object.__setattr__(self, "codes", codes)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, n) -> (batch, codes)."""
        x = one_input(inputs)
        if x.rank != 2 or x.shape[1] != len(self.codes[0]):
            raise ShapeError(f"wants (batch, {len(self.codes[0])}), a number for each mark, and got {list(x.shape)}")
        if x.dtype != scope.dtype:
            raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")
        signs = np.array([[1.0 if mark == "#" else -1.0 for mark in code] for code in self.codes])
        count, batch = len(self.codes), x.shape[0]
        apart = graph.broadcast(x, [1], [count]) - graph.broadcast(graph.constant(signs, x.dtype), [0], [batch])
        return -graph.sum(apart**2, 2)
