"""The product of a single row: its tile is wide, whatever of its columns no whole tile holds, and whoever has them."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.keys import Key
from tests.engines.native.together import Together

COLUMNS = (2, 15, 16, 33, 127, 128, 129, 300, 1000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, {"cores": 3, "one_by_one": "backwards"}])
def test_a_single_row_is_multiplied_as_many_are(dtype: str, settings: dict[str, Any]) -> None:
    together = Together()
    for columns in COLUMNS:
        for gates in (1, 3):
            x = graph.input("x", (1, 70), dtype)
            w = graph.input("w", (70, gates, columns), dtype)
            b = graph.input("b", (gates, columns), dtype)
            sums = graph.contract(x, w, "bi,igo->bgo")
            nodes = [sums, graph.tanh(sums + graph.broadcast_to(b, sums.shape))]
            key = Key(columns).child(gates)
            arrays = {
                one.attributes["name"]: key.child(n).normal(one.shape).astype(dtype) for n, one in enumerate([x, w, b])
            }
            together.add(f"{gates}×{columns}", nodes, arrays)
    together.compare(NativeEngine(**settings)).check_all()
