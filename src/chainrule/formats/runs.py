"""A run to a folder and back: what `chainrule.run` keeps there, and how it is read again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Preparation
from chainrule.engines.protocol import Engine
from chainrule.errors import ConfigurationError, RunFileError
from chainrule.formats import folder as files
from chainrule.formats.checking import check_classes, check_made_with, check_parts, check_settings, check_spec
from chainrule.formats.configuration import from_plain, to_plain
from chainrule.formats.machine import made_with
from chainrule.layers.scope import PARAMETERS, STATE
from chainrule.training import DataSpec, History, Step
from chainrule.training.records import METRICS

Array = NDArray[Any]
#: What a run of a model is made of, each a table of run.toml; the last two may be absent.
PARTS = ("model", "loss", "optimizer", "regularizer", "augmentation")

#: What the arrays are called in a checkpoint that callbacks keep.
_CALLBACKS = "callbacks/"


class Savable(Protocol):
    """What a run is, as far as it can be kept."""

    step: Step
    engine: Engine
    model: Any
    loss: Any
    optimizer: Any
    regularizer: Any
    augmentation: Any
    preparation: Preparation
    classes: tuple[str, ...] | None
    spec: DataSpec | None
    history: History
    arrays: dict[str, Array]
    numbers: dict[str, float]
    name: str
    frozen: tuple[str, ...]
    source: dict[str, Any]
    batch_size: int
    dtype: str
    seed: int
    shuffle: bool
    epoch: int
    offset: int
    stopped: str

    def remembered(self) -> dict[str, Any]:
        """What the callbacks keep."""


@dataclass(frozen=True)
class Loaded:
    """What a folder says of a run."""

    model: Any
    loss: Any
    optimizer: Any
    regularizer: Any
    augmentation: Any
    preparation: Preparation
    classes: tuple[str, ...] | None
    spec: DataSpec | None
    settings: Mapping[str, Any]
    source: dict[str, Any]
    arrays: dict[str, Array]
    numbers: dict[str, float]
    callbacks: Mapping[str, Any]
    history: History
    epoch: int
    offset: int
    made_with: Mapping[str, Any]


def save_run(run: Savable, folder: Path) -> Path:
    """Write run.toml, weights.safetensors, checkpoint.safetensors and metrics.jsonl: all of them, or none."""
    settings = {
        name: getattr(run, name) for name in ("name", "batch_size", "dtype", "seed", "shuffle", "epoch", "stopped")
    }
    tables: dict[str, Any] = {
        "format": files.FORMAT,
        "run": {**settings, "step": run.step.name, "engine": run.engine.name},
    }
    if run.frozen:
        tables["run"]["freeze"] = list(run.frozen)
    tables["made_with"] = made_with(run.engine)
    if run.source:
        tables["source"] = run.source
    if run.classes is not None:
        tables["classes"] = list(run.classes)
    if run.spec is not None:
        arrays = {name: {"shape": list(shape), "dtype": kind} for name, (shape, kind) in run.spec.arrays.items()}
        preparing = {name: list(shape) for name, shape in run.spec.preparing.items()}
        tables["data"] = {"samples": run.spec.samples, "arrays": arrays, "preparing": preparing}
    for name in PARTS:
        if getattr(run, name) is not None:
            tables[name] = to_plain(getattr(run, name))
    tables["preparation"] = run.preparation.to_dict()
    step = int(run.arrays["step"])  # what came after is the history of one that went on
    remembered, aside = _without_arrays(run.remembered())
    position = {"epoch": run.epoch, "offset": run.offset, "numbers": run.numbers, "callbacks": remembered}
    try:
        told = json.dumps(position)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the state of a callback cannot be written to a file, it is plain numbers, texts and arrays: {error}"
        ) from error
    shared = {name: array for name, array in run.arrays.items() if name.startswith((f"{PARAMETERS}/", f"{STATE}/"))}
    tables["run"]["identity"] = identity = _identity(run, step, told)
    with files.writing(folder) as part:  # only now: what cannot be written leaves nothing behind
        files.write_configuration(part, tables)
        files.write_arrays(part / files.WEIGHTS, shared, {"format": "chainrule weights"})
        files.write_arrays(part / files.CHECKPOINT, run.arrays | aside, {"position": told, "identity": identity})
        files.write_metrics(part, folder, run.history, step, run.epoch)
    return folder


def _without_arrays(states: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """What callbacks keep, in two: what JSON can hold, and arrays for the checkpoint, "callbacks/WHOSE/NAME"."""
    plain = {
        whose: {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
        for whose, state in states.items()
    }
    arrays = {
        f"{_CALLBACKS}{whose}/{name}": value
        for whose, state in states.items()
        for name, value in state.items()
        if isinstance(value, np.ndarray)
    }
    return plain, arrays


def _with_arrays(states: Mapping[str, Any], arrays: dict[str, Array]) -> dict[str, Any]:
    """What callbacks keep, whole again; its arrays are taken from among those of the checkpoint."""
    whole = {str(whose): dict(state) for whose, state in states.items()}
    for full in [full for full in arrays if full.startswith(_CALLBACKS)]:
        whose, _, name = full.removeprefix(_CALLBACKS).partition("/")
        whole[whose][name] = arrays.pop(full)
    return whole


def load_run(folder: Path, custom: tuple[Any, ...]) -> Loaded:
    """Read what `save_run` wrote; `RunFileError` names the file and the entry that is wrong."""
    tables, arrays, metadata = _read_together(folder)
    try:
        if tables["run"]["identity"] != metadata["identity"]:
            raise RunFileError(
                f"{files.CONFIGURATION} and {files.CHECKPOINT} do not belong together: "
                "one of them came from another run, or from another moment of this one"
            )
        position = json.loads(metadata["position"])
        epoch, offset = int(position["epoch"]), int(position["offset"])
        numbers = {str(name): float(value) for name, value in position["numbers"].items()}
        callbacks = _with_arrays(position["callbacks"], arrays)
        parts = {name: from_plain(tables[name], custom, name) if name in tables else None for name in PARTS}
        check_parts(**parts)
        spec = _spec(tables["data"], tables.get("classes")) if "data" in tables else None
        check_spec(spec, parts["model"] is not None)
        if min(epoch, offset) < 0 or (spec is not None and offset > spec.samples):
            raise RunFileError(f"the place in the data is epoch {epoch}, sample {offset}, which cannot be")
        return Loaded(
            **parts,
            preparation=Preparation.from_dict(tables["preparation"]),
            classes=check_classes(tables.get("classes"), spec, parts["model"] is not None),
            spec=spec,
            settings=check_settings(tables.get("run")),
            source=dict(tables.get("source", {})),
            arrays=arrays,
            numbers=numbers,
            callbacks=callbacks,
            history=_history(files.read_metrics(folder), int(arrays["step"]), epoch, offset),
            epoch=epoch,
            offset=offset,
            made_with=check_made_with(tables.get("made_with", {})),
        )
    except RunFileError as error:
        raise RunFileError(f"{folder} cannot be used: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise RunFileError(f"{folder} is damaged: {type(error).__name__} {error}") from error


def _read_together(folder: Path) -> tuple[dict[str, Any], dict[str, Array], dict[str, str]]:
    """run.toml and the checkpoint; once more, if they are of two moments: a training may be saving there just now."""
    seen: list[Any] = []
    while True:
        tables = files.read_configuration(folder)
        arrays, metadata = files.read_checkpoint(folder)
        run = tables.get("run")
        found = [run.get("identity") if isinstance(run, Mapping) else None, metadata.get("identity")]
        if found[0] == found[1] or found in seen:
            return tables, arrays, metadata
        seen.append(found)
        time.sleep(0.05)


def _identity(run: Savable, step: int, position: str) -> str:
    """What tells one save from another: a folder must not hold a mixture of two."""
    parts = [to_plain(getattr(run, name)) for name in PARTS if getattr(run, name) is not None]
    kind = [run.preparation.to_dict(), run.step.name, run.dtype, run.seed, run.shuffle]
    kind += [run.frozen] if run.frozen else []
    told = json.dumps([parts, kind, step, position, run.stopped], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _spec(table: Mapping[str, Any], classes: Any) -> DataSpec:
    arrays = {name: (tuple(map(int, entry["shape"])), str(entry["dtype"])) for name, entry in table["arrays"].items()}
    preparing = {name: tuple(map(int, shape)) for name, shape in table["preparing"].items()}
    return DataSpec(int(table["samples"]), arrays, preparing, tuple(map(str, classes)) if classes is not None else None)


def _history(lines: list[dict[str, Any]], last_step: int, last_epoch: int, offset: int) -> History:
    """What the checkpoint knows of: a training that is saving there just now may be ahead of it."""
    history = History()
    for line in lines:
        kind = line.pop("kind", "step")
        if kind == "epoch":
            if line.get("epoch", 0) <= last_epoch:
                history.epochs.append(line)
        elif line.get("step", 0) <= last_step:
            history.add_step(line)
    steps = history.column("step")
    epoch = history.epochs[-1]["epoch"] if history.epochs else 0 if offset == 0 else last_epoch
    gap = list(steps) != list(range(last_step - len(steps) + 1, last_step + 1)) or (last_step and not steps)
    if lines and gap:
        raise RunFileError(f"{METRICS} is damaged: it does not have every step up to {last_step}, the last one")
    if lines and epoch != last_epoch:
        raise RunFileError(f"{METRICS} is damaged: it does not have epoch {last_epoch}, the last one")
    return history
