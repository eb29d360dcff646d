"""The text of an explanation: forward values, the chain rule, the largest paths, their sum, and what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from chainrule.explain.tables import number_text

if TYPE_CHECKING:
    from chainrule.explain.derivation import Explanation, Link, Path

#: So many of the paths are told step by step; the others are lines of the sum.
_TOLD = 3
_WIDTH = 98


def tell(found: Explanation) -> Iterator[str]:
    """The lines of an explanation."""
    short = _short(found.parameter)
    yield f"∂loss/∂{found.parameter} for sample {found.sample}: {number_text(found.gradient)}"
    yield ""
    if found.forward:
        yield "Forward"
        yield from _columns([(q.name, "= " + q.definition if q.definition else "", q.value) for q in found.forward])
        yield ""
    if found.chain:
        yield from _tell_chain(found, short)
        yield ""
    if not found.chain or any(not link.folded for path in found.paths for link in path.links[1:]):
        for number, path in enumerate(found.paths[:_TOLD], 1):
            yield from _tell_path(found, path, number)
            yield ""
    if found.symbols:
        yield "where"
        for name, definition, value in found.symbols:
            yield from _wrapped(f"  {name} = {definition} = {value}" if value else f"  {name} = {definition}")
        yield ""
    if found.count > 1 or (found.gradient and not found.paths):
        yield from _tell_sum(found)
        yield ""
    if found.steps:
        yield from _tell_steps(found)
        yield ""
    yield from _tell_update(found, short)
    yield ""
    yield from _tell_measured(found)
    if found.notes:
        yield ""
        for note in found.notes:
            yield from _wrapped(note)


def _tell_steps(found: Explanation) -> Iterator[str]:
    """The sum over time: what the use of the parameter at each step of a loop gives to the gradient."""
    layers = list(dict.fromkeys(term.layer for term in found.steps))
    yield "Over time: what its use at each step gives"
    names = [f"step {term.step}" + (f" of layer {term.layer}" if len(layers) > 1 else "") for term in found.steps]
    rows = [*zip(names, (term.value for term in found.steps), strict=True)]
    rest = math.fsum([found.gradient, *(-value for _, value in rows)])
    if abs(rest) > 1e-9 * max(abs(found.gradient), *(abs(value) for _, value in rows)):
        rows.append(("outside the loop", rest))
    yield from _columns([(name, "", value) for name, value in [*rows, ("sum", found.gradient)]])


def _short(parameter: str) -> str:
    """w for a weight, b for a bias, θ for anything else."""
    name = parameter.partition("[")[0].rpartition(".")[2]
    return {"weight": "w", "bias": "b"}.get(name, "θ")


def _columns(rows: Sequence[tuple[str, str, float]]) -> Iterator[str]:
    first = max(len(name) for name, _, _ in rows)
    numbers = [number_text(value) for _, _, value in rows]
    second = max(map(len, numbers))
    for (name, definition, _), number in zip(rows, numbers, strict=True):
        yield from _wrapped(f"  {name.ljust(first)}  {number.rjust(second)}  {definition}".rstrip(), first + second + 6)


def _tell_chain(found: Explanation, short: str) -> Iterator[str]:
    names = {found.parameter: short}
    parts = [f"∂{factor.of}/∂{names.get(factor.by, factor.by)}" for factor in found.chain]
    yield f"Chain rule, with {short} for {found.parameter}"
    yield from _wrapped(f"  ∂loss/∂{short} = {' · '.join(parts)}", 12)
    width = max(map(len, parts))
    formulas = [factor.formula for factor in found.chain]
    middle = max(map(len, formulas))
    for part, formula, factor in zip(parts, formulas, found.chain, strict=True):
        number = number_text(factor.value)
        yield (
            f"  {part.ljust(width)} = {formula}"
            if formula == number
            else (f"  {part.ljust(width)} = {formula.ljust(middle)} = {number}")
        )
    if len(parts) > 1:
        numbers = " · ".join(_bracketed(factor.value, n > 0) for n, factor in enumerate(found.chain))
        yield from _wrapped(
            f"  {f'∂loss/∂{short}'.ljust(width)} = {numbers} = {number_text(found.gradient)}", width + 5
        )


def _bracketed(value: float, inside: bool) -> str:
    text = number_text(value)
    return f"({text})" if inside and text.startswith("−") else text


def _tell_path(found: Explanation, path: Path, number: int) -> Iterator[str]:
    if found.count > 1:
        share = f", {100 * path.product / found.gradient:.3g} % of the gradient" if found.gradient else ""
        yield f"Path {number} of {_many(found.count)}: {number_text(path.product)}{share.replace('-', '−')}"
    elif path.product:
        yield "Step by step, from the loss down"
    else:
        yield "Every path meets a derivative of 0; this one meets fewest"
    rows = [link for link in path.links if not link.folded]
    name = max(len("element"), *(len(link.name) for link in rows))
    told = ["" if n == 0 else _local(link) for n, link in enumerate(rows)]
    local = max(len("derivative of the line above"), *map(len, told))
    local = min(local, _WIDTH - name - 32)
    head = "derivative of the line above".ljust(local)
    yield f"  {'element'.ljust(name)}  {'value'.rjust(12)}  {head}  {'product'.rjust(12)}"
    for link, text in zip(rows, told, strict=True):
        value, so_far = number_text(link.value), number_text(link.product)
        if len(text) > local:
            yield f"  {link.name.ljust(name)}  {value.rjust(12)}  {text}"
            yield f"  {' ' * name}  {' ' * 12}  {' ' * local}  {so_far.rjust(12)}"
        else:
            yield f"  {link.name.ljust(name)}  {value.rjust(12)}  {text.ljust(local)}  {so_far.rjust(12)}"


def _local(link: Link) -> str:
    number = number_text(link.local)
    return number if link.formula == number else f"{link.formula} = {number}"


def _tell_sum(found: Explanation) -> Iterator[str]:
    numbers = exact_sum([*(path.product for path in found.paths), found.gradient])
    *parts, total = numbers
    rest = total - sum(parts, Decimal(0))
    left = found.count - len(found.paths)
    rows = [(_written(part, total), _via(found, path)) for part, path in zip(parts, found.paths, strict=True)]
    what = f"all other paths, {_many(left)} of them" if left > 0 else "rounding of the lines above"
    if rest or left > 0:
        rows.append((_written(rest, total), what))
    width = max(len(_written(total, total)), *(len(number) for number, _ in rows))
    yield f"Sum of the paths{'' if found.exact else ' (there may be larger ones: the search was cut short)'}"
    for number, what in rows:
        yield from _wrapped(f"  {number.rjust(width)}  {what}", width + 8)
    yield f"  {'─' * width}"
    yield f"  {_written(total, total).rjust(width)}  the gradient, by backpropagation"


def exact_sum(values: Sequence[float], digits: int = 10) -> list[Decimal]:
    """Numbers rounded to one common last place, so that what is printed can be added up by hand."""
    largest = max((abs(value) for value in values if value), default=1.0)
    last = math.floor(math.log10(largest)) - digits + 1
    unit = Decimal(1).scaleb(last)
    return [Decimal(value).quantize(unit) for value in values]


def _written(value: Decimal, like: Decimal) -> str:
    """A number of a sum, in the form with an exponent if the sum is far from 1."""
    exponent = like.as_tuple().exponent
    assert isinstance(exponent, int)
    if -16 <= exponent <= 0:
        return f"{value:f}".replace("-", "−")
    shift = exponent + 9
    return f"{value.scaleb(-shift):f}e{shift:+03d}".replace("-", "−")


def _via(found: Explanation, path: Path) -> str:
    """What tells a path from the others: the elements on it that they do not all share, as few as will do."""
    shared = set.intersection(*({link.name for link in each.links} for each in found.paths))

    def own(each: Path, named: bool) -> list[str]:
        links = [link for link in each.links if link.name not in shared and not link.folded]
        return [link.name for link in reversed(links) if link.named or not named]

    short = own(path, True)
    alone = bool(short) and [own(each, True) for each in found.paths].count(short) == 1
    text = ", ".join(short if alone else own(path, False))
    return f"via {text}" if text else "straight"


def _many(count: float) -> str:
    return f"{count:,.0f}" if count < 1e15 else f"about {count:.2g}"


def _tell_update(found: Explanation, short: str) -> Iterator[str]:
    update = found.update
    before, after = number_text(update.before), number_text(update.after)
    yield "Update that this sample alone would cause"
    if update.plain and update.rate is not None:
        rate, gradient = number_text(update.rate), _bracketed(found.gradient, True)
        yield f"  {short} ← {short} − η·∂loss/∂{short} = {before} − {rate}·{gradient} = {after}"
    else:
        rate = f", η = {number_text(update.rate)}" if update.rate is not None else ""
        # A gradient of 0 can move a parameter here, and a reader should not wonder why.
        yield f"  {short} ← {after}, from {before}, by {update.by}{rate}"
        yield "  (together with what the optimizer remembers of earlier steps)"


def _tell_measured(found: Explanation) -> Iterator[str]:
    yield "Measured, by moving the parameter (central differences, float64)"
    yield f"  backpropagation  {number_text(found.gradient, 12)}"
    yield f"  measured         {number_text(found.measured, 12)}   ± {found.uncertain:.1g}"
    yield f"  difference       {number_text(found.difference, 3)}"


def _wrapped(line: str, indent: int = 6) -> Iterator[str]:
    """A line, broken at blanks where it is too wide."""
    while len(line) > _WIDTH:
        cut = line.rfind(" ", indent + 1, _WIDTH)
        if cut < 0:
            break
        yield line[:cut]
        line = " " * indent + line[cut + 1 :]
    yield line
