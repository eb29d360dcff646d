"""The formula of every op as it is printed from its rule: pinned, so that a reader sees when a rule changes."""

from __future__ import annotations

_NONE = "{}: no gradient passes"
_LEAF = "{}: a leaf, with nothing behind it to pass a gradient to"
_SCAN = "{}: the body is pulled back once, by the rules of its own ops, and looped over in the opposite direction"

FORMULAS: dict[str, str] = {
    "neg": "dx = −g",
    "exp": "dx = g·y",
    "expm1": "dx = g·(y + 1)",
    "tanh": "dx = g·(1 − y²)",
    "erf": "dx = g·(2/√π)·exp(−x²)",
    "sin": "dx = g·cos(x)",
    "cos": "dx = g·(−sin(x))",
    "sigmoid": "dx = g·y·(1 − y)",
    "log": "dx = g/x",
    "log1p": "dx = g/(1 + x)",
    "power": "dx = g·3·x²",
    "add": "da = g\ndb = g",
    "sub": "da = g\ndb = −g",
    "mul": "da = g·b\ndb = g·a",
    "div": "da = g/b\ndb = −g·y/b",
    "rem": "da = g\ndb = −g·(a − y)/b",
    "select": "dc: no gradient\nda = select(c, g, 0)\ndb = select(c, 0, g)",
    "cast": "dx = float64(g)",
    "sum": "dx = broadcast(g; axes 1)",
    "max": (
        "dx = select(broadcast(iota(size 3); axes 0) = broadcast(argmax(x; axes 1); axes 1), broadcast(g; axes 1), 0)\n"
        "(g goes to the first of the largest elements, 0 to the others)"
    ),
    "contract": "da = contract(g, b; ik,jk→ij)\ndb = contract(g, a; ik,ij→jk)",
    "reshape": "dx = reshape(g; shape 1×6)",
    "transpose": "dx = transpose(g; axes 2,0,1)",
    "reverse": "dx = reverse(g; axes 0)",
    "broadcast": "dx = sum(g)",
    "slice": "dx = pad(g; low 1; interior 1)",
    "pad": "dx = g[1:3]",
    "concatenate": "dx₀ = g[0:2]\ndx₁ = g[2:4]",
    "window": "dx = fold(g; axes 0; sizes 3; lengths 4)",
    "fold": "dx = window(g; axes 0; sizes 3)",
    "gather": "dx = scatter_add(g, i; axis 0; length 2)\ndi: no gradient",
    "scatter_add": "du = gather(g, i; axis 0)\ndi: no gradient",
    **{op: _LEAF.format(op) for op in "input param constant iota".split()},
    **{
        op: _NONE.format(op)
        for op in "floor lt le eq and or xor shift_left shift_right not stop_gradient random_bits argmax".split()
    },
    **{op: _SCAN.format(op) for op in "scan last stack".split()},
}

#: Other attributes than those of the small example.
VARIANTS: list[tuple[str, dict[str, object], str]] = [
    ("power", {"exponent": 2.0}, "dx = g·2·x"),
    ("power", {"exponent": 1.0}, "dx = g"),
    ("power", {"exponent": 0.0}, "dx: no gradient"),
    ("power", {"exponent": 0.5}, "dx = g·0.5·x^−0.5"),
    ("cast", {"dtype": "int32"}, "dx: no gradient"),
    ("sum", {"axes": (0, 2)}, "dx = broadcast(g; axes 0,2)"),
    ("broadcast", {"axes": (0, 2), "sizes": (3, 4)}, "dx = sum(g; axes 0,2)"),
    ("slice", {"starts": (0, 1), "stops": (3, 4), "steps": (1, 1)}, "dx = pad(g; low 0,1)"),
    ("pad", {"low": (0,), "high": (1,), "interior": (2,), "value": 1.0}, "dx = g[0:4:3]"),
    (
        "window",
        {"strides": (2,), "dilations": (3,)},
        "dx = fold(g; axes 0; sizes 3; strides 2; dilations 3; lengths 9)",
    ),
    ("gather", {"axis": 2, "batch": 1}, "dx = scatter_add(g, i; axis 2; batch 1; length 4)\ndi: no gradient"),
    (
        "contract",
        {"a_axes": (0, 1, 2), "b_axes": (0, 2, 3), "out_axes": (0, 1, 3)},
        "da = contract(g, b; ijl,ikl→ijk)\ndb = contract(g, a; ijl,ijk→ikl)",
    ),
]
