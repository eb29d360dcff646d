"""The rewrite table: op -> small rewrites, each from one node to a simpler one of the same value, or nothing.

What a rewrite may change: the order of a sum (so the last digits), and the sign of a zero. What it may not: a product
with 0 or a difference of equals is left alone, so that no NaN and no infinity is lost. At each node that is rewritten,
as long as no finite numbers overflow on the way: what was finite or infinite is the same, what was NaN because an
operand was NaN is NaN, and what was NaN because infinities met 0 or one another is NaN or infinite. This last is the
price of taking factors out of sums, `reductions.of_sum`.
"""

from __future__ import annotations

from chainrule.graph.node import full
from chainrule.graph.rewrites import arithmetic, moves, reductions
from chainrule.graph.rewrites.common import Make, Rewrite, same

__all__ = ["REWRITES", "Make", "Rewrite"]

_keeps_shape = same(lambda node: node.shape == node.inputs[0].shape)
_no_axes = same(lambda node: not node.attributes["axes"])

REWRITES: dict[str, tuple[Rewrite, ...]] = {
    "neg": (lambda node, make: node.inputs[0].inputs[0] if node.inputs[0].op == "neg" else None,),
    "not": (lambda node, make: node.inputs[0].inputs[0] if node.inputs[0].op == "not" else None,),
    "add": (arithmetic.neutral(0, both=True), arithmetic.of_add, moves.of_pieces),
    "sub": (arithmetic.neutral(0, both=False), arithmetic.of_sub),
    "mul": (arithmetic.neutral(1, both=True), arithmetic.of_mul),
    "div": (arithmetic.neutral(1, both=False),),
    "power": (
        same(lambda node: node.attributes["exponent"] == 1),
        lambda node, make: full(node.shape, 1, node.dtype) if node.attributes["exponent"] == 0 else None,
        arithmetic.of_power,
    ),
    **dict.fromkeys(("or", "xor"), (arithmetic.neutral(0, both=True), arithmetic.of_logic)),
    "and": (arithmetic.of_logic,),
    **dict.fromkeys(("shift_left", "shift_right"), (arithmetic.neutral(0, both=False),)),
    "select": (arithmetic.of_select,),
    "cast": (same(lambda node: node.dtype == node.inputs[0].dtype), arithmetic.of_cast),
    "stop_gradient": (lambda node, make: node.inputs[0],),
    "sum": (_no_axes, reductions.single, reductions.of_sum),
    "max": (_no_axes, reductions.single, reductions.of_max),
    "contract": (reductions.of_contract,),
    "reshape": (_keeps_shape, moves.one_number, moves.of_reshape),
    "transpose": (
        same(lambda node: node.attributes["axes"] == tuple(range(node.rank))),
        moves.one_number,
        moves.of_transpose,
    ),
    "reverse": (same(lambda node: all(node.shape[a] == 1 for a in node.attributes["axes"])), moves.of_reverse),
    "broadcast": (_no_axes, moves.of_broadcast),
    "slice": (_keeps_shape, moves.one_number, moves.of_slice),
    "pad": (_keeps_shape, moves.zeros),
    "concatenate": (same(lambda node: len(node.inputs) == 1), moves.zeros),
    "window": (_no_axes, moves.one_number),
    "fold": (_no_axes, moves.zeros),
    "gather": (moves.zeros,),
    "scatter_add": (moves.zeros,),
    "last": (moves.of_last,),
    "stack": (moves.of_stack,),
}
