"""What run.toml and a checkpoint have to be before anything is made of them: a file is not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ChainruleError, RunFileError
from chainrule.graph import DTYPES, FLOATS, INTEGERS
from chainrule.losses import Loss
from chainrule.training import DataSpec, Step, build_step

Array = NDArray[Any]

#: What the table [run] holds, and of which kind.
_SETTINGS: Mapping[str, type] = {
    "name": str, "step": str, "dtype": str, "stopped": str, "batch_size": int, "seed": int, "epoch": int,
    "shuffle": bool,
}  # fmt: skip
_LARGEST = 2**31 - 1


def check_settings(table: Any) -> Mapping[str, Any]:
    """The table [run], if all of it is there and means something."""
    if not isinstance(table, Mapping):
        raise RunFileError("[run] is missing, or is no table")
    for name, kind in _SETTINGS.items():
        if name not in table:
            raise RunFileError(f"[run] has no {name}")
        if type(table[name]) is not kind:
            raise RunFileError(f"[run] {name} is {table[name]!r:.60}, which is no {kind.__name__}")
    freeze = table.get("freeze", [])
    if not isinstance(freeze, list) or any(not isinstance(pattern, str) or not pattern for pattern in freeze):
        raise RunFileError(f"[run] freeze is {freeze!r:.60}, which is no list of patterns")
    if table["dtype"] not in FLOATS:
        raise RunFileError(f"[run] dtype is {table['dtype']!r}; known are {', '.join(FLOATS)}")
    for name, least, most in (("batch_size", 1, _LARGEST), ("seed", 0, 2**32 - 1), ("epoch", 0, _LARGEST)):
        if not least <= table[name] <= most:
            raise RunFileError(f"[run] {name} is {table[name]}; it is a number from {least} to {most}")
    return table


def check_made_with(table: Any) -> Mapping[str, Any]:
    """What the run was made with: names and versions."""
    if not isinstance(table, Mapping) or any(not isinstance(value, str | int) for value in table.values()):
        raise RunFileError("[made_with] is no table of texts and numbers")
    return dict(table)


def check_parts(model: Any, loss: Any, optimizer: Any, regularizer: Any = None, augmentation: Any = None) -> None:
    """Model, loss and optimizer: all of them, or none for a step of one's own; the rest may be absent."""
    parts = {"model": model, "loss": loss, "optimizer": optimizer}
    there = [name for name, part in parts.items() if part is not None]
    if there and len(there) < len(parts):
        raise RunFileError(f"there is a table [{there[0]}], but not all of [model], [loss] and [optimizer]")
    if there and not (hasattr(model, "apply") or callable(model)):
        raise RunFileError(f"[model] is {model!r:.60}, which is no layer")
    if there and not isinstance(getattr(model, "name", ""), str):
        raise RunFileError(f"[model] name is {model.name!r:.60}, which is no text")
    if there and not isinstance(loss, Loss):
        raise RunFileError(f"[loss] is {loss!r:.60}, which is no loss")
    if there and (isinstance(optimizer, type) or not hasattr(optimizer, "apply")):
        raise RunFileError(f"[optimizer] is {optimizer!r:.60}, which is no optimizer")
    for name, part in (("regularizer", regularizer), ("augmentation", augmentation)):
        if part is not None and (isinstance(part, type) or not hasattr(part, "apply") or not there):
            raise RunFileError(f"[{name}] is {part!r:.60}, which is no {name}{'' if there else ' of a model'}")


def check_classes(classes: Any, spec: DataSpec | None, supervised: bool) -> tuple[str, ...] | None:
    """The names of the classes, which labels count into."""
    # Whole numbers to each position are symbols, which the preparation has the names of.
    shape, kind = spec.arrays["targets"] if supervised and spec is not None else ((), "")
    labelled = kind in INTEGERS and not shape
    if classes is None and not labelled:
        return None
    texts = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not texts or not classes or len(set(classes)) < len(classes):
        raise RunFileError("classes is no list of different names")
    return tuple(classes)


def check_spec(spec: DataSpec | None, supervised: bool) -> None:
    """What the graph is told of the data."""
    if spec is None:
        if supervised:
            raise RunFileError("[data] is missing")
        return
    if not 0 < spec.samples <= _LARGEST:
        raise RunFileError(f"[data] samples is {spec.samples}; it is a number above 0")
    for name, (shape, kind) in spec.arrays.items():
        if kind not in DTYPES or any(size < 0 for size in shape):
            raise RunFileError(f"[data] {name} is {kind}{list(shape)}, which no array can be")
    missing = {"inputs", "targets"} - set(spec.arrays) if supervised else set()
    if missing:
        raise RunFileError(f"[data] has no arrays {' and '.join(sorted(missing))}")


def check_state(
    step: Step, spec: DataSpec, settings: Mapping[str, Any], arrays: Mapping[str, Array]
) -> dict[str, Array]:
    """The arrays of a checkpoint, if they are those that the step declares for these data, in the step's order."""
    try:
        built = build_step(step, spec, min(settings["batch_size"], spec.samples), settings["dtype"])
    except ChainruleError as error:
        raise RunFileError(f"the model and the data of the run do not fit each other: {error}") from error
    except Exception as error:
        # A table may name any class for a model, and a class may do anything with what it is not made for.
        raise RunFileError(f"no step can be built: {type(error).__name__} {error}") from error
    wanted = {name: (one.shape, one.dtype) for name, one in built.declared.items()} | {"step": ((), "int32")}
    for name, (shape, dtype) in wanted.items():
        found = arrays.get(name)
        if found is None:
            raise RunFileError(f"there is no {name}, and the step has one of {list(shape)}")
        if found.shape != shape or found.dtype != np.dtype(dtype):
            raise RunFileError(f"{name} is {found.dtype}{list(found.shape)}, and the step wants {dtype}{list(shape)}")
    stray = sorted(set(arrays) - set(wanted))
    if stray:
        raise RunFileError(f"there is a {stray[0]}, of which the step knows nothing")
    return {name: arrays[name] for name in wanted}
