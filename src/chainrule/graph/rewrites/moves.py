"""Rewrites of what moves elements about: two moves in one, a move undone, equal numbers moved."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.graph.building import canonical
from chainrule.graph.node import Node, full
from chainrule.graph.printing import repeated_number
from chainrule.graph.rewrites.common import Make, is_number, repeated, without
from chainrule.graph.scanning import stack as stacked


def of_reshape(node: Node, make: Make) -> Node | None:
    """Two reshapes in one."""
    (x,) = node.inputs
    return make("reshape", x.inputs[0], shape=node.shape) if x.op == "reshape" else None


def of_transpose(node: Node, make: Make) -> Node | None:
    """A transpose of what was transposed, repeated or contracted."""
    (x,) = node.inputs
    order = node.attributes["axes"]
    match x.op:
        case "transpose":
            return make("transpose", x.inputs[0], axes=tuple(x.attributes["axes"][axis] for axis in order))
        case "broadcast":
            new = [place for place, axis in enumerate(order) if axis in x.attributes["axes"]]
            old = tuple(without((axis for axis in order if axis not in x.attributes["axes"]), x.attributes["axes"]))
            source = make("transpose", x.inputs[0], axes=old)
            return repeated(make, source, new, [node.shape[place] for place in new])
        case "contract":
            out = [x.attributes["out_axes"][axis] for axis in order]
            return make("contract", *x.inputs, **canonical(x.attributes["a_axes"], x.attributes["b_axes"], out))
    return None


def of_reverse(node: Node, make: Make) -> Node | None:
    """Two reversals in one, and one of what repeats."""
    (x,) = node.inputs
    axes = node.attributes["axes"]
    if x.op == "reverse":
        return make("reverse", x.inputs[0], axes=tuple(sorted({*axes} ^ {*x.attributes["axes"]})))
    if x.op == "broadcast" and x.attributes["axes"]:
        new = x.attributes["axes"]
        source = make("reverse", x.inputs[0], axes=tuple(without((a for a in axes if a not in new), new)))
        return repeated(make, source, new, x.attributes["sizes"])
    return None


def of_broadcast(node: Node, make: Make) -> Node | None:
    """Two broadcasts in one."""
    (x,) = node.inputs
    if x.op != "broadcast":
        return None
    outer = node.attributes["axes"]
    kept = [axis for axis in range(node.rank) if axis not in outer]
    axes = tuple(sorted([*outer, *(kept[axis] for axis in x.attributes["axes"])]))
    return make("broadcast", x.inputs[0], axes=axes, sizes=tuple(node.shape[axis] for axis in axes))


def _ranges(node: Node) -> list[tuple[int, int, int]]:
    """First place, how many and step, for each axis of a slice."""
    starts, steps = node.attributes["starts"], node.attributes["steps"]
    return list(zip(starts, node.shape, steps, strict=True))


def _sliced(make: Make, x: Node, ranges: Iterable[tuple[int, int, int]]) -> Node:
    # One form for one meaning: no step where there is nothing to step to, no element behind the last one.
    parts = [(f, f + (n - 1) * step + 1, step) if n > 1 else (f, f + n, 1) for f, n, step in ranges]
    starts, stops, steps = zip(*parts, strict=True) if parts else ((), (), ())
    return make("slice", x, starts=starts, stops=stops, steps=steps)


def of_slice(node: Node, make: Make) -> Node | None:
    """A slice of what was sliced, repeated, padded or joined."""
    (x,) = node.inputs
    ranges = _ranges(node)
    match x.op:
        case "slice":
            below = _ranges(x)
            parts = ((f + g * s, n, s * t) for (f, _, s), (g, n, t) in zip(below, ranges, strict=True))
            return _sliced(make, x.inputs[0], parts)
        case "broadcast":
            new = x.attributes["axes"]
            source = _sliced(make, x.inputs[0], [part for axis, part in enumerate(ranges) if axis not in new])
            return repeated(make, source, new, [node.shape[axis] for axis in new])
        case "pad" if node.size:
            return _slice_of_pad(x, ranges, make)
        case "concatenate" if node.size:
            axis, start = x.attributes["axis"], 0
            first, count, step = ranges[axis]
            for part in x.inputs:
                if start <= first and first + (count - 1) * step < start + part.shape[axis]:
                    ranges[axis] = (first - start, count, step)
                    return _sliced(make, part, ranges)
                start += part.shape[axis]
    return None


def _slice_of_pad(x: Node, ranges: list[tuple[int, int, int]], make: Make) -> Node | None:
    """What is cut out of a padded array, if all of it lies on the array and nothing on the padding."""
    parts = []
    below = zip(x.attributes["low"], x.attributes["interior"], x.inputs[0].shape, strict=True)
    for (first, count, step), (low, inner, size) in zip(ranges, below, strict=True):
        start, rest = divmod(first - low, inner + 1)
        stride, uneven = divmod(step, inner + 1) if count > 1 else (1, 0)
        if rest or uneven or start < 0 or start + (count - 1) * stride >= size:
            return None
        parts.append((start, count, stride))
    return _sliced(make, x.inputs[0], parts)


def of_pieces(node: Node, make: Make) -> Node | None:
    """A sum of arrays padded with zeros, each to its own place, which fill an axis: they stand side by side."""
    found: dict[int, Node] = {}
    axes: set[int] = set()
    waiting = [node]
    while waiting:
        term = waiting.pop()
        if term.op == "add":
            waiting.extend(term.inputs)
            continue
        if term.op != "pad" or any(term.attributes["interior"]) or term.attributes["value"] != 0:
            return None
        x, low = term.inputs[0], term.attributes["low"]
        moved = [axis for axis, size in enumerate(term.shape) if size != x.shape[axis] or low[axis]]
        if len(moved) != 1 or low[moved[0]] in found or not x.size:
            return None
        axes.update(moved)
        found[low[moved[0]]] = x
    if len(axes) != 1:
        return None
    (axis,), end = axes, 0
    for start in sorted(found):
        if start != end:
            return None
        end += found[start].shape[axis]
    whole = end == node.shape[axis]
    return make("concatenate", *(found[start] for start in sorted(found)), axis=axis) if whole else None


def one_number(node: Node, make: Make) -> Node | None:
    """Moving equal numbers about leaves equal numbers."""
    number = repeated_number(node.inputs[0])
    return None if number is None else full(node.shape, number, node.dtype)


def zeros(node: Node, make: Make) -> Node | None:
    """Adding up, picking out or padding zeros with zeros: nothing is multiplied, so nothing can be NaN."""
    nothing = all(is_number(x, 0) for x in node.inputs[: len(node.inputs) if node.op == "concatenate" else 1])
    return full(node.shape, 0, node.dtype) if nothing and node.attributes.get("value", 0) == 0 else None


def of_last(node: Node, make: Make) -> Node | None:
    """A carry that is handed on as it is, or never, is the one that came in."""
    (scan,) = node.inputs
    index = node.attributes["index"]
    after = scan.attributes["next"][index]
    same = after.op == "param" and after.attributes["index"] == index
    return scan.inputs[index] if same or scan.attributes["length"] == 0 else None


def of_stack(node: Node, make: Make) -> Node | None:
    """What does not change over time is repeated; a slice of a sequence is the sequence."""
    (scan,) = node.inputs
    inside, length = node.attributes["node"], scan.attributes["length"]
    if inside.op in ("constant", "iota"):
        return repeated(make, inside, (0,), (length,))
    if inside.op == "param" and inside.attributes["index"] >= scan.attributes["n_carry"] + scan.attributes["n_xs"]:
        return repeated(make, scan.inputs[inside.attributes["index"]], (0,), (length,))
    if inside.op == "broadcast":
        rows = make("stack", scan, node=inside.inputs[0])
        return repeated(make, rows, [axis + 1 for axis in inside.attributes["axes"]], inside.attributes["sizes"])
    return stacked(scan, inside)
