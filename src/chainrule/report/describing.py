"""What a run was made of, as tables: data and their preparation, model, settings, versions and machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import ConfigurationError
from chainrule.explain.summary import layer_rows, totals
from chainrule.formats.configuration import to_plain
from chainrule.formats.machine import made_with
from chainrule.report.markup import Child, Markup, element
from chainrule.report.numbers import exact, told
from chainrule.report.tables import cut, facts, table

if TYPE_CHECKING:
    from chainrule.run import Run

_MOST_ROWS = 200
_SHORT = 12
_MACHINE = {
    "chainrule": "chainrule", "python": "Python", "numpy": "NumPy", "llvmlite": "llvmlite", "machine": "machine",
    "processor": "processor", "instructions": "instructions", "cores": "cores used",
}  # fmt: skip


def data_sections(run: Run, parts: Mapping[str, Mapping[str, Any]]) -> list[Child]:
    """Where the data came from, how many there are of what, and what was done to them."""
    source = run.source
    shape = run.preparation.shape or (run.spec.arrays["inputs"][0] if run.spec and "inputs" in run.spec.arrays else ())
    arrays = "" if run.spec is None else "; ".join(f"{n} {_shape(s)} {k}" for n, (s, k) in run.spec.arrays.items())
    rows: list[tuple[str, Child]] = [
        ("source", source.get("data") or run.name),
        ("holds", source.get("holds")),
        ("target", source.get("target") or run.preparation.target_name),
        ("left out", _listing(source.get("ignore"))),
        ("a sample", f"{_shape(shape)}" if shape else ""),
        ("arrays of a sample", arrays),
        ("classes", f"{len(run.classes):,}" if run.classes is not None else "none: the target is a number"),
        ("checksum", source.get("fingerprint")),
    ]
    found: list[Child] = [facts([(name, value if isinstance(value, str) else None) for name, value in rows])]
    found += [element("h3", "Parts"), _parts(parts)]
    if run.classes is not None and any("counts" in part for part in parts.values()):
        found += [element("h3", "Classes"), _classes(run.classes, parts)]
    elif run.classes is not None:
        found += [element("p", _listing(list(run.classes[:_MOST_ROWS])))]
    return [*found, *_prepared(run)]


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> Markup:
    heads, rows = ["part", "samples"], []
    of_numbers = any("targets" in part for part in parts.values())
    weighed = any("weights" in part for part in parts.values())
    names = ("least", "mean", "deviation", "most") if of_numbers else ()
    heads += [*names, *(["weight"] if weighed else [])]
    for name, part in parts.items():
        targets = part.get("targets")
        numbers = [told(targets.get(key, "")) if isinstance(targets, Mapping) else "" for key in names]
        rows.append(
            [name, told(part.get("samples", "")), *numbers, *([told(part.get("weights", ""))] if weighed else [])]
        )
    made = table(heads, rows, numbers=range(1, len(heads)))
    about = element("p", "The last four are those of the target.", class_="soft") if of_numbers else None
    return element("div", made, about)


def _classes(classes: Sequence[str], parts: Mapping[str, Mapping[str, Any]]) -> Markup:
    counted = {name: part["counts"] for name, part in parts.items() if _fits(part.get("counts"), len(classes))}
    rows = [
        [cut(name), *(told(counts[place]) for counts in counted.values())]
        for place, name in enumerate(classes[:_MOST_ROWS])
    ]
    made = table(["class", *counted], rows, numbers=range(1, len(counted) + 1))
    more = len(classes) - _MOST_ROWS
    return element("div", made, element("p", f"and {more:,} more", class_="soft") if more > 0 else None)


def _fits(counts: Any, classes: int) -> bool:
    return isinstance(counts, list) and len(counts) == classes and all(isinstance(count, int) for count in counts)


def _prepared(run: Run) -> Iterator[Child]:
    prepared = run.preparation
    yield element("h3", "Preparation")
    yield facts(
        [
            ("inputs", _scaling(prepared.shift, prepared.scale)),
            (
                "target",
                "" if prepared.target.changes_nothing else _scaling(prepared.target.shift, prepared.target.scale),
            ),
        ]
    )
    if prepared.columns:
        rows = []
        place = 0
        for column in prepared.columns[:_MOST_ROWS]:
            scaled = "–"
            if column.kind == "number":
                shift, scale = _at(prepared.shift, place) + column.origin, _at(prepared.scale, place)
                scaled = f"minus {told(shift)}, times {told(scale)}"
            kinds = f"{len(column.categories):,} values: {_listing([cut(one) for one in column.categories])}"
            rows.append([cut(column.name), kinds if column.categories else "number", scaled])
            place += column.width
        yield table(("column", "what it holds", "preparation"), rows)


def _at(numbers: float | tuple[float, ...], place: int) -> float:
    return numbers[place] if isinstance(numbers, tuple) else numbers


def _scaling(shift: Any, scale: Any) -> str:
    if isinstance(shift, tuple) or isinstance(scale, tuple):
        return (
            "each feature shifted and scaled by numbers of its own"
            if _several(shift, scale)
            else _scaling(_at(shift, 0), _at(scale, 0))
        )
    if shift == 0 and scale == 1:
        return "as they are"
    return f"minus {told(shift)}, times {told(scale)}"


def _several(*numbers: Any) -> bool:
    return any(isinstance(one, tuple) and len(one) > 1 for one in numbers)


def model_sections(run: Run) -> list[Child]:
    """The layers with shapes and parameter counts, and the totals."""
    rows = [[path, cut(title), shapes, count, notes] for path, title, shapes, count, notes in layer_rows(run)]
    made = table(("layer", "", "in → out", "parameters", ""), rows, numbers=(3,))
    return [made, element("p", totals(run))]


def settings_table(run: Run) -> Markup | None:
    """Loss, optimizer, penalties and the rest, with every number that was set."""
    rows: list[tuple[str, Child]] = []
    for name in ("loss", "optimizer", "regularizer", "augmentation"):
        part = getattr(run, name)
        if part is not None:
            rows += [(label.replace("_", " "), value) for label, value in _flat(name, _plain(part))]
    if run.model is None:
        rows.append(("step", f"{run.step.name}, of its own"))
    rows += [
        ("batch size", "all samples" if run.spec and run.batch_size >= run.spec.samples else told(run.batch_size)),
        ("order", "another in each epoch" if run.shuffle else "that of the data"),
        ("seed", str(run.seed)), ("numbers", run.dtype), ("engine", run.engine.name),
    ]  # fmt: skip
    plan = run.source.get("training")
    if isinstance(plan, Mapping):
        rows += [(f"plan: {name}".replace("_", " "), exact(value)) for name, value in plan.items()]
    return facts(rows)


def _plain(part: Any) -> Any:
    try:
        return to_plain(part)
    except ConfigurationError:  # a lambda has no name
        return repr(part)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A configuration in rows: what it is, and below it each of its settings."""
    if isinstance(value, Mapping):
        kind = value.get("type", value.get("function"))
        if kind is not None:
            yield name, exact(kind)
        for key, inner in value.items():
            if key not in ("type", "function"):
                yield from _flat(f"{name}: {key}" if ":" not in name else f"{name}, {key}", inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for place, inner in enumerate(value, 1):
            yield from _flat(f"{name} {place}", inner)
    else:
        yield name, exact(value)


def machine_table(run: Run) -> Markup | None:
    """Versions and machine that made the run."""
    found = run.made_with or made_with(run.engine)
    return facts([(words, str(found[name])) for name, words in _MACHINE.items() if name in found])


def versions(run: Run) -> Mapping[str, Any]:
    """The same by name."""
    return run.made_with or made_with(run.engine)


def _listing(names: Any) -> str:
    if not isinstance(names, list):
        return ""
    shown = [str(name) for name in names]
    return ", ".join(shown[:_SHORT]) + (f", … ({len(shown):,} in all)" if len(shown) > _SHORT else "")


def _shape(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) if len(shape) else "one number"


def counted(run: Run) -> int:
    """How many parameters there are."""
    return int(sum(np.size(array) for array in run.parameters.values()))
