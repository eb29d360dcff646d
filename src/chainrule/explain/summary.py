"""What a model is made of: its layers, their shapes, their parameters, and what all of it weighs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chainrule.explain.tables import table
from chainrule.graph import Shape
from chainrule.layers.scope import PARAMETERS, STATE, Applied, fits
from chainrule.optimizers.updates import OPTIMIZER

if TYPE_CHECKING:
    from chainrule.run import Run

_WIDTH = 80


def summarize(run: Run) -> str:
    """A table of the layers with shapes (without the batch) and parameter counts, and the totals, as text.

    A layer that is applied several times has its parameters once, and is counted once.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("iris")
    >>> print(summarize(cr.prepare(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train)))
    layer               in → out  parameters
    ────────────────────────────────────────────────────────────
    0      Dense(tanh)  4 → 8             40  weight 4×8, bias 8
    1      Dense        8 → 3             27  weight 8×3, bias 3
    ────────────────────────────────────────────────────────────
    67 parameters in 4 arrays: 268 B as float32; 268 B of optimizer memory
    """
    lines = layer_rows(run)
    heads = ("layer", "", "in → out", "parameters", "")
    text = list(table(heads, lines, right=(3,)))
    told = totals(run)
    first, _, rest = told.partition("; ")
    return "\n".join([*text, text[1], *([told] if len(told) <= _WIDTH else [f"{first};", rest])])


def totals(run: Run) -> str:
    """How many parameters there are, and what they, the state and the optimizer take."""
    sizes = {
        kind: sum(array.nbytes for name, array in run.arrays.items() if name.startswith(f"{kind}/"))
        for kind in (PARAMETERS, STATE, OPTIMIZER)
    }
    arrays = run.parameters
    count = sum(array.size for array in arrays.values())
    total = f"{_counted(count, 'parameter')} in {_counted(len(arrays), 'array')}: "
    total += f"{_bytes(sizes[PARAMETERS])} as {run.dtype}"
    still = sum(array.size for path, array in arrays.items() if fits(path, run.frozen))
    beside = [f"{still:,} frozen"] if still else []
    beside += [f"{_bytes(sizes[STATE])} of state"] if sizes[STATE] else []
    beside += [f"{_bytes(sizes[OPTIMIZER])} of optimizer memory"] if sizes[OPTIMIZER] else []
    return "; ".join([total, *beside])


def layer_rows(run: Run) -> list[tuple[str, str, str, str, str]]:
    """A row a layer; a layer that is met again is one row, with the number of times it is applied."""
    shapes = {path: array.shape for path, array in run.parameters.items()}
    times = Counter(_place(each) for each in run.layers)
    seen: set[object] = set()
    rows = []
    for each in run.layers:
        place = _place(each)
        if place in seen:
            continue
        own = {path: shape for path, shape in shapes.items() if path.rpartition(".")[0] == each.path}
        if _is_wrapper(each, run.layers):  # its parameters are those of the layer in it, which has the next row
            rows.append((each.path or "model", _title(each), _shapes(each), "", ""))
            seen.add(place)
            continue
        # As a layer declares them, also for a run that was read from a file, where arrays are in alphabetical order.
        own = dict(sorted(own.items(), key=lambda item: item[0].endswith("bias")))
        again = each.path in seen
        seen |= {place, each.path}
        count = sum(math.prod(shape) for shape in own.values())
        notes = [", ".join(f"{path.rpartition('.')[2]} {_sizes(shape)}" for path, shape in own.items())]
        if times[place] > 1:
            notes.append(f"applied {times[place]} times")
        if own and all(fits(path, run.frozen) for path in own):
            notes.append("frozen")
        if again:
            notes = ["the same layer as above"]
        if _is_container(each, run.layers) and not own:
            continue
        counted = "" if again or not count else f"{count:,}"
        rows.append((each.path or "model", _title(each), _shapes(each), counted, "; ".join(filter(None, notes))))
    return rows


def _place(each: Applied) -> tuple[object, ...]:
    return each.path, each.inputs, each.output, _title(each)


def _is_container(each: Applied, layers: Sequence[Applied]) -> bool:
    inside = f"{each.path}." if each.path else ""
    return any(other is not each and other.depth > each.depth and other.path.startswith(inside) for other in layers)


def _is_wrapper(each: Applied, layers: Sequence[Applied]) -> bool:
    return any(other.depth == each.depth + 1 and other.path == each.path for other in layers)


def _title(each: Applied) -> str:
    layer = each.layer
    name = getattr(layer, "__name__", "") or type(layer).__name__
    activation = getattr(layer, "activation", None)
    function = getattr(activation, "func", activation)
    return f"{name}({getattr(function, '__name__', function)})" if activation is not None else name


def _shapes(each: Applied) -> str:
    return f"{', '.join(_sizes(shape[1:]) for shape in each.inputs)} → {_sizes(each.output[1:])}"


def _sizes(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _bytes(size: int) -> str:
    """A number of bytes in a unit that fits.

    >>> _bytes(268), _bytes(954_000)
    ('268 B', '932 kB')
    """
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if number < 1000:
            break
        number, unit = number / 1024, larger
    return f"{number:.3g} {unit}"
