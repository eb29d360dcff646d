"""A run as a folder: run.toml, weights.safetensors, checkpoint.safetensors and metrics.jsonl.

Each file is written beside its place and then moved there, so that a full disk or a kill leaves the old one whole.
"""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import RunFileError

Array = NDArray[Any]

CONFIGURATION, WEIGHTS, CHECKPOINT, METRICS = (
    "run.toml",
    "weights.safetensors",
    "checkpoint.safetensors",
    "metrics.jsonl",
)
FORMAT = 1
_MAXIMUM_TEXT = 64 * 2**20
#: A line a step: stochastic descent over many epochs writes hundreds of megabytes.
_MAXIMUM_METRICS = 2 * 2**30


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RunFileError(f"{path} could not be written: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Make the folder of a run, or accept one that is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFileError(f"the folder {folder} could not be made: {error.strerror or error}") from error


def write_configuration(folder: Path, tables: Mapping[str, Any]) -> None:
    """Write run.toml."""
    import tomli_w

    write_bytes(folder / CONFIGURATION, tomli_w.dumps(dict(tables)).encode())


def read_configuration(folder: Path) -> dict[str, Any]:
    """Read run.toml; `RunFileError` if there is none, or it is of another kind."""
    path = folder / CONFIGURATION
    if not path.is_file():
        raise RunFileError(f"{folder} is not a run: it has no {CONFIGURATION}. `chainrule train` makes one")
    try:
        tables = tomllib.loads(_bounded(path).decode())
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"{path} is damaged: {error}") from error
    if tables.get("format") != FORMAT:
        raise RunFileError(f"{path} has format {tables.get('format')!r}, and this chainrule reads {FORMAT}")
    return tables


def write_arrays(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays by name, in the safetensors format."""
    from safetensors.numpy import save

    write_bytes(
        path, save({name: np.array(array, order="C") for name, array in arrays.items()}, metadata=dict(metadata))
    )


def read_arrays(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays and metadata of a safetensors file; `RunFileError` if it is missing, truncated or hostile."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise RunFileError(f"{path} is missing")
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise RunFileError(f"{path} is damaged: {error}") from error


def write_metrics(folder: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write metrics.jsonl: one JSON object a line."""
    write_bytes(folder / METRICS, "".join(json.dumps(_strict(line)) + "\n" for line in lines).encode())


def _strict(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """What JSON has no word for, in words that it has: NaN as null, infinity as text."""
    finite = all(not isinstance(value, float) or math.isfinite(value) for value in line.values())
    return line if finite else {name: _word(value) for name, value in line.items()}


def _word(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _number(value: Any) -> Any:
    return math.nan if value is None else float(value) if value in ("Infinity", "-Infinity") else value


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl; none is an empty history."""
    path = folder / METRICS
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(_bounded(path, _MAXIMUM_METRICS).splitlines(), 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RunFileError(f"{path}, line {number} is damaged: {error}") from error
        if not isinstance(entry, dict) or any(isinstance(value, list | dict) for value in entry.values()):
            raise RunFileError(f"{path}, line {number} is not a record")
        found.append({name: _number(value) for name, value in entry.items()})
    return found


def _bounded(path: Path, maximum: int = _MAXIMUM_TEXT) -> bytes:
    size = path.stat().st_size
    if size > maximum:
        raise RunFileError(f"{path} is {size:,} bytes, more than any run writes ({maximum:,})")
    return path.read_bytes()
