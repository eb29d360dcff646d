"""Whether a sample is classified rightly, as graph: one number a sample, so that means over any set are exact."""

from __future__ import annotations

from chainrule import graph
from chainrule.graph import INTEGERS, Node


def correct(outputs: Node, targets: Node, threshold: float = 0.5) -> Node:
    """1 where a sample is classified rightly, else 0: (batch,), float32.

    With several outputs the class is the largest; with one it is 1 above the threshold (outputs are probabilities
    then; for targets of ±1 the threshold is 0). Targets are labels, or rows whose largest entry is the class.
    """
    if outputs.rank < 2 or outputs.shape[-1] == 1:
        said = graph.lt(graph.full((outputs.shape[0],), threshold, outputs.dtype), _row(outputs))
        true = graph.cast(_row(targets), outputs.dtype)
        wanted = graph.lt(graph.full(true.shape, threshold, true.dtype), true)
        return graph.cast(graph.logical_not(graph.logical_xor(said, wanted)), "float32")
    labels = targets if targets.dtype in INTEGERS else graph.argmax(targets, -1)
    return graph.cast(graph.eq(graph.argmax(outputs, -1), graph.cast(labels, "int32")), "float32")


def _row(x: Node) -> Node:
    return graph.reshape(x, (x.shape[0],))
