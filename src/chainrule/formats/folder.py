"""A run as a folder: run.toml, weights.safetensors, checkpoint.safetensors and metrics.jsonl.

The first three are written beside their places and take them together, so that a full disk, a kill or a power cut
leaves the old run or the new one, and never parts of both. The last grows: it is ahead of the others now and then, and
what they do not know of is left out when it is read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import RunFileError
from chainrule.training.history import History
from chainrule.training.records import METRICS, append, decoded, lines

Array = NDArray[Any]

CONFIGURATION, WEIGHTS, CHECKPOINT = "run.toml", "weights.safetensors", "checkpoint.safetensors"
FORMAT = 1
_PART, _WHOLE = ".part", ".whole"
_MAXIMUM_TEXT = 64 * 2**20
#: A line a step: stochastic descent over many epochs writes hundreds of megabytes.
_MAXIMUM_METRICS = 2 * 2**30


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _put(beside, content)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise RunFileError(f"{path} could not be written: {error.strerror or error}") from error


@contextmanager
def writing(folder: Path) -> Iterator[Path]:
    """A folder to write the files of a save into; at the end they take their places in ``folder``, all at once.

    They are written into ``.part``, which then becomes ``.whole``: from that moment on they are what is read. A kill
    before leaves the files that were there, a kill after it the new ones; the next save clears up after either.
    """
    part, whole = folder / _PART, folder / _WHOLE
    try:
        new = not is_run(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _settle(folder)
        part.mkdir()
        yield part
        _sync(part)
        os.rename(part, whole)
        _sync(folder)
        if new:
            _sync(folder.parent)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise RunFileError(f"{folder} could not be written: {error.strerror or error}") from error
        raise
    with contextlib.suppress(OSError):  # it is saved; what cannot be moved now is moved by the next save
        _settle(folder)


def _settle(folder: Path) -> None:
    """Clear up after a save that was killed: away with what it had not finished, to its place what it had."""
    part, whole = folder / _PART, folder / _WHOLE
    if part.exists():
        shutil.rmtree(part)
    if whole.exists():
        for path in sorted(whole.iterdir()):
            os.replace(path, folder / path.name)
        _sync(folder)
        whole.rmdir()


def is_run(folder: Path) -> bool:
    """Whether a run was saved there."""
    return _place(folder, CONFIGURATION).is_file()


def _place(folder: Path, name: str) -> Path:
    """Where a file of a run is: a save that was killed before all had been moved has left it in ``.whole``."""
    unmoved = folder / _WHOLE / name
    return unmoved if unmoved.is_file() else folder / name


def _put(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk, so that a power cut does not undo a move."""
    if os.name == "nt":
        return  # where folders cannot be opened
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_configuration(folder: Path, tables: Mapping[str, Any]) -> None:
    """Write run.toml."""
    import tomli_w

    write_bytes(folder / CONFIGURATION, tomli_w.dumps(dict(tables)).encode())


def read_configuration(folder: Path) -> dict[str, Any]:
    """Read run.toml; `RunFileError` if there is none, or it is of another kind."""
    path = _place(folder, CONFIGURATION)
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


def read_checkpoint(folder: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays and metadata of the checkpoint."""
    return read_arrays(_place(folder, CHECKPOINT))


def read_weights(folder: Path) -> dict[str, Array]:
    """The weights of a run alone: parameters, and the state of layers."""
    path = _place(folder, WEIGHTS)
    if not path.is_file():
        raise RunFileError(f"{folder} is not a run: it has no {WEIGHTS}")
    return read_arrays(path)[0]


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


def write_metrics(part: Path, folder: Path, history: History, step: int, epoch: int) -> None:
    """Have metrics.jsonl hold a history up to a step and an epoch, one JSON object a line.

    A file of the same run that is there is appended to: what reads an older checkpoint beside it leaves out what came
    later. Any other is replaced when the files of ``part`` take their places.
    """
    there = folder / METRICS
    if not (there.is_file() and append(there, history, step, epoch, sync=True)):
        write_bytes(part / METRICS, "".join(lines(history, step, epoch)).encode())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl; none is an empty history, and half a line at its end is still being written."""
    path = _place(folder, METRICS)
    if not path.is_file():
        return []
    found, content = [], _bounded(path, _MAXIMUM_METRICS)
    whole = content[: content.rfind(b"\n") + 1] or content
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            found.append(decoded(line))
        except (ValueError, RecursionError) as error:
            raise RunFileError(f"{path}, line {number} is damaged: {error}") from error
        except TypeError as error:
            raise RunFileError(f"{path}, line {number} {error}") from error
    return found


def _bounded(path: Path, maximum: int = _MAXIMUM_TEXT) -> bytes:
    size = path.stat().st_size
    if size > maximum:
        raise RunFileError(f"{path} is {size:,} bytes, more than any run writes ({maximum:,})")
    return path.read_bytes()
