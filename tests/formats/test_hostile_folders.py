"""Folders that are damaged, or meant to do damage: refused in words, and nothing in them is executed."""

from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

import chainrule as cr
from chainrule.errors import ChainruleError, RunFileError
from chainrule.formats.folder import read_arrays, write_arrays
from tests.formats.making import iris


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tables = tomllib.loads((folder / "run.toml").read_text())
    change(tables)
    (folder / "run.toml").write_text(tomli_w.dumps(tables))


def put(*path: str | int) -> Callable[[Any, Any], None]:
    def change(tables: Any, value: Any) -> None:
        for part in path[:-1]:
            tables = tables[part]
        tables[path[-1]] = value

    return change


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no run.toml": (lambda f: (f / "run.toml").unlink(), "is not a run: it has no run.toml"),
    "no checkpoint": (lambda f: (f / "checkpoint.safetensors").unlink(), "checkpoint.safetensors is missing"),
    "run.toml cut": (lambda f: cut(f / "run.toml"), "is damaged"),
    "run.toml of bytes": (lambda f: (f / "run.toml").write_bytes(b"\xff\xfe\x00"), "is damaged"),
    "run.toml nested": (lambda f: (f / "run.toml").write_text("x = " + "[" * 100_000), "is damaged"),
    "checkpoint cut": (lambda f: cut(f / "checkpoint.safetensors"), "checkpoint.safetensors is damaged"),
    "checkpoint empty": (lambda f: (f / "checkpoint.safetensors").write_bytes(b""), "is damaged"),
    "checkpoint with a huge header": (
        lambda f: (f / "checkpoint.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}"), "is damaged",
    ),
    "position cut": (lambda f: metadata(f, '{"epoch": 1'), "is damaged"),
    "position nested": (lambda f: metadata(f, "[" * 100_000), "is damaged"),
    "position of another kind": (lambda f: metadata(f, "[1, 2]"), "is damaged"),
    "position far away": (
        lambda f: metadata(f, '{"epoch": 1, "offset": 10000, "numbers": {}, "callbacks": {}}'), "which cannot be",
    ),
    "no position": (lambda f: arrays(f, lambda a: None, {}), "is damaged"),
    "metrics of no JSON": (lambda f: (f / "metrics.jsonl").write_text("{]\n"), "metrics.jsonl, line 1 is damaged"),
    "metrics nested": (lambda f: (f / "metrics.jsonl").write_text("[" * 100_000), "metrics.jsonl, line 1 is damaged"),
    "metrics of numbers": (lambda f: (f / "metrics.jsonl").write_text("7\n"), "line 1 is not a record"),
    "another format": (lambda f: edit(f, lambda t: put("format")(t, 99)), "has format 99, and this chainrule reads 1"),
    "an unknown layer": (
        lambda f: edit(f, lambda t: put("model", "layers", 0, "type")(t, "Conv9D")),
        "model.layers[0]: there is no class 'Conv9D' in chainrule",
    ),
    "code for a name": (
        lambda f: edit(f, lambda t: put("model", "layers", 0, "type")(t, "__import__('os').system('true')")),
        "there is no class \"__import__('os').system('true')\" in chainrule",
    ),
    "a function of Python": (
        lambda f: edit(f, lambda t: put("model", "layers", 0, "activation", "function")(t, "eval")),
        "there is no function 'eval' in chainrule",
    ),
    "a dotted name": (
        lambda f: edit(f, lambda t: put("model", "layers", 0, "activation", "function")(t, "os.system")),
        "no function 'os.system'",
    ),
    "a field too many": (
        lambda f: edit(f, lambda t: put("model", "layers", 0, "depth")(t, 3)), "Dense cannot be made of",
    ),
    "a table without a type": (lambda f: edit(f, lambda t: t["model"].pop("type")), "model: a table without a type"),
    "an optimizer for a model": (lambda f: edit(f, lambda t: put("model")(t, t["optimizer"])), "no step can be built"),
    "a model for a loss": (lambda f: edit(f, lambda t: put("loss")(t, t["model"])), "which is no loss"),
    "a layer of another size": (
        lambda f: edit(f, lambda t: put("model", "layers", 0, "units")(t, 5)),
        "parameters/0.weight is float32[4, 4], and the step",
    ),
    "weights of another shape": (
        lambda f: arrays(f, lambda a: a.update({"parameters/0.weight": np.ones((4, 9), np.float32)})),
        "is float32[4, 9]",
    ),
    "weights of another dtype": (
        lambda f: arrays(f, lambda a: a.update({"parameters/0.weight": np.zeros((4, 4))})), "is float64[4, 4]",
    ),
    "a parameter missing": (lambda f: arrays(f, lambda a: a.pop("parameters/1.bias")), "there is no parameters/1.bias"),
    "a stray array": (
        lambda f: arrays(f, lambda a: a.update({"parameters/9.weight": np.zeros(3, np.float32)})),
        "there is a parameters/9.weight, of which the step knows nothing",
    ),
    "no step": (lambda f: arrays(f, lambda a: a.pop("step")), "step"),
    "data of other sizes": (
        lambda f: edit(f, lambda t: put("data", "arrays", "inputs", "shape")(t, [7])), "do not fit each other",
    ),
}  # fmt: skip


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def metadata(folder: Path, position: str) -> None:
    found, known = read_arrays(folder / "checkpoint.safetensors")
    write_arrays(folder / "checkpoint.safetensors", found, {**known, "position": position})


def arrays(folder: Path, change: Callable[[dict[str, Any]], object], known: Mapping[str, str] | None = None) -> None:
    found, before = read_arrays(folder / "checkpoint.safetensors")
    change(found)
    write_arrays(folder / "checkpoint.safetensors", found, before if known is None else known)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_in_words(name: str, folder: Path) -> None:
    damage, message = HOSTILE[name]
    damage(folder)
    with pytest.raises(RunFileError) as caught:
        cr.load(folder)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


ODD: list[Any] = [
    0, -1, 10**30, 0.5, math.inf, math.nan, True, "", "Dense", "x" * 5000, [], [[]], [1, "a"], {}, {"type": "Dense"},
    {"function": "exp", "lambda": 1}, {"type": "Chain", "layers": []},
]  # fmt: skip


def places(tables: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    entries: Any = tables.items() if isinstance(tables, dict) else enumerate(tables) if isinstance(tables, list) else ()
    for name, value in entries:
        yield (*path, name)
        yield from places(value, (*path, name))


def test_whatever_stands_in_run_toml_it_is_used_or_refused(folder: Path) -> None:
    """Entries are replaced by odd values, and taken away: an error of chainrule, or a run that works."""
    tables = tomllib.loads((folder / "run.toml").read_text())
    train = iris()[0].subset(range(0, 120, 8))
    refused = tried = 0
    for number, path in enumerate(places(tables)):
        for value in [*ODD, None][number % 3 :: 3]:  # a third for each entry, in turn
            changed = copy.deepcopy(tables)
            if value is None:
                parent: Any = changed
                for part in path[:-1]:
                    parent = parent[part]
                del parent[path[-1]]
            else:
                put(*path)(changed, value)
            (folder / "run.toml").write_text(tomli_w.dumps(changed))
            tried += 1
            try:
                run = cr.load(folder)
                run.predict(train.inputs)
                run.made_with = {}  # another machine is told of, not refused
                run.fit(train, epochs=run.epoch + 1)
            except ChainruleError:
                refused += 1
    assert tried > 500
    assert refused > tried / 2


def test_whatever_stands_in_a_checkpoint_it_is_used_or_refused(folder: Path) -> None:
    """Bytes are flipped and cut off at random: an error of chainrule, or a run whose numbers are others."""
    path = folder / "checkpoint.safetensors"
    content = path.read_bytes()
    random = np.random.default_rng(0)
    test = iris()[1]
    refused = 0
    for number in range(150):
        damaged = bytearray(content)
        for place in random.integers(0, min(len(content), 600 if number % 2 else len(content)), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged[: random.integers(len(content))] if number % 5 == 0 else damaged)
        try:
            cr.load(folder).outputs(test.inputs)
        except ChainruleError:
            refused += 1
    assert refused > 50


def test_nothing_in_a_folder_is_executed(folder: Path, tmp_path: Path) -> None:
    """Files beside those of the run, Python among them, are not looked at."""
    for name in ("__init__.py", "run.py", "custom.py", "weights.pkl"):
        (folder / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    cr.load(folder)
    assert not (tmp_path / "executed").exists()
