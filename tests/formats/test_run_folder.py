"""A run is a folder of plain files: what is written comes back to the bit, and what is hostile is refused in words."""

from __future__ import annotations

import copy
import functools
import json
import math
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

import chainrule as cr
from chainrule.errors import ChainruleError, ConfigurationError, RunFileError
from chainrule.formats import folder as files
from chainrule.formats.configuration import from_plain, to_plain
from chainrule.formats.folder import read_arrays, write_arrays
from chainrule.keys import Key
from chainrule.optimizers import Compose, Descend, Momentum

FILES = ["checkpoint.safetensors", "metrics.jsonl", "run.toml", "weights.safetensors"]


def iris() -> tuple[cr.data.Dataset, cr.data.Dataset]:
    return cr.data.load("iris")


def trained(epochs: int = 2, **settings: Any) -> cr.Run:
    model = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3))
    return cr.fit(model, iris()[0], epochs=epochs, **settings)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained().save(tmp_path_factory.mktemp("runs") / "good")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of a good run, to be damaged."""
    shutil.copytree(good, tmp_path / "run")
    return tmp_path / "run"


def same(first: cr.Run, second: cr.Run) -> None:
    assert list(first.arrays) == list(second.arrays)
    for name, array in first.arrays.items():
        assert second.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(second.arrays[name], array)


# ---- there and back ----


def test_a_run_comes_back_to_the_bit(tmp_path: Path) -> None:
    train, test = iris()
    run = cr.fit(cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3)), train, validation=test, epochs=3, batch_size=16, seed=7)
    again = cr.load(run.save(tmp_path / "run"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == FILES
    same(run, again)
    assert again.model == run.model
    assert again.loss == run.loss
    assert again.optimizer == run.optimizer
    assert again.preparation == run.preparation
    assert again.classes == run.classes == ("setosa", "versicolor", "virginica")
    assert (again.name, again.batch_size, again.seed, again.dtype) == (run.name, 16, 7, "float32")
    assert (again.epoch, again.offset, again.stopped) == (3, 0, "")
    assert again.history.epochs == run.history.epochs
    assert again.history.samples == run.history.samples == 3 * len(train)
    for name, column in run.history.steps.items():
        np.testing.assert_array_equal(again.history.steps[name], column)
    np.testing.assert_array_equal(again.predict(test.inputs), run.predict(test.inputs))
    np.testing.assert_array_equal(again.outputs(test.inputs), run.outputs(test.inputs))
    assert again.evaluate(test) == run.evaluate(test)


@dataclass(frozen=True)
class Doubled:
    """A layer of a user."""

    units: int
    factor: float = 2.0

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return scope.apply(cr.Dense(self.units), inputs[0], name="inner") * self.factor


def bent(x: cr.Node) -> cr.Node:
    """An activation of a user."""
    return x / (1.0 + x * x)


@pytest.mark.parametrize(
    ("model", "custom"),
    [
        (cr.Chain(cr.Dense(4, functools.partial(cr.leaky_relu, slope=0.2)), cr.Dense(3)), []),
        (cr.Chain(cr.Flatten(), cr.Dense(4, weight=cr.initializers.He("uniform")), cr.Dense(3, bias=False)), []),
        (cr.Chain(cr.Chain(cr.Dense(6), cr.sigmoid), cr.Reshape((2, 3)), cr.Flatten(), cr.Dense(3), name="whole"), []),
        (cr.Chain(Doubled(4, factor=0.5), cr.Dense(3)), [Doubled]),
        (cr.Chain(cr.Dense(4, bent), bent, cr.Dense(3)), [bent]),
        (cr.Dense(3), []),
    ],
    ids=["partial", "initializer", "nested", "own layer", "own function", "one layer"],
)  # fmt: skip
def test_models_of_every_kind_come_back(model: Any, custom: list[Any], tmp_path: Path) -> None:
    train, test = iris()
    run = cr.fit(model, train, epochs=1, optimizer=cr.optimizers.Adam(0.01))
    again = cr.load(run.save(tmp_path), custom=custom)
    np.testing.assert_array_equal(again.outputs(test.inputs), run.outputs(test.inputs))
    same(run.fit(train, epochs=2), again.fit(train, epochs=2))
    if custom:
        with pytest.raises(RunFileError, match=rf"if it is your own: load\(…, custom=\[{custom[0].__name__}\]\)"):
            cr.load(tmp_path)


@pytest.mark.parametrize("loss", ["mean_squared_error", "half_squared_error", "binary_cross_entropy", "cross_entropy"])
@pytest.mark.parametrize(
    "optimizer",
    [cr.optimizers.SGD(0.05, momentum=0.5, nesterov=True), Compose(Momentum(0.3), Descend(0.1))],
    ids=["SGD", "own"],
)
def test_losses_and_optimizers_come_back(loss: str, optimizer: Any, tmp_path: Path) -> None:
    train, _ = iris()
    data = train.one_hot()
    run = cr.fit(cr.Chain(cr.Dense(3)), data, loss=getattr(cr.losses, loss), optimizer=optimizer, epochs=1)
    again = cr.load(run.save(tmp_path))
    assert (again.loss, again.optimizer) == (run.loss, optimizer)
    same(run.fit(data, epochs=2), again.fit(data, epochs=2))


def test_a_regression_comes_back_in_its_own_units(tmp_path: Path) -> None:
    prices = 1000.0 * Key(0).uniform((40, 1), 1.0, 3.0)
    preparation = cr.data.Preparation(target=cr.data.Scaling.to_range(prices, -0.8, 0.8))
    data = cr.data.from_arrays(prices / 500, prices, preparation=preparation).standardize()
    run = cr.fit(
        cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(1, cr.tanh)), data, epochs=60, dtype="float64", batch_size=None
    )
    again = cr.load(run.save(tmp_path))
    assert again.dtype == "float64"
    assert abs(again.predict(data.inputs) - prices).mean() < 200
    np.testing.assert_array_equal(again.predict(data.inputs), run.predict(data.inputs))


def test_a_step_of_ones_own_comes_back_with_the_step(tmp_path: Path) -> None:
    model = cr.Chain(cr.Dense(2), name="only")

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = cr.losses.mean_squared_error(state.apply(model, batch["x"]), batch["y"])
        state.descend(loss, model, cr.optimizers.Adam())
        return {"loss": loss}

    data = {"x": np.ones((5, 3), np.float32), "y": np.zeros((5, 2), np.float32)}
    run = cr.fit(down, data, epochs=2, batch_size=2)
    folder = run.save(tmp_path)
    with pytest.raises(RunFileError, match=r"was trained by a step of your own, down; give it: load\(…, step=down\)"):
        cr.load(folder)
    again = cr.load(folder, step=down)
    same(run.fit(data, epochs=4), again.fit(data, epochs=4))
    np.testing.assert_array_equal(run.apply(model, data["x"]), again.apply(model, data["x"]))


def test_what_cannot_be_written_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    model = cr.Chain(cr.Dense(4, lambda x: x * 2.0), cr.Dense(3))
    run = cr.fit(model, iris()[0], epochs=1)
    with pytest.raises(
        ConfigurationError, match="cannot be written to a file: use a dataclass, or a function with a name"
    ):
        run.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_schedule_without_a_name_cannot_be_written_and_one_with_a_name_can(tmp_path: Path) -> None:
    train, _ = iris()
    run = cr.fit(cr.Chain(cr.Dense(3)), train, epochs=1, optimizer=cr.optimizers.SGD(slower))
    again = cr.load(run.save(tmp_path), custom=[slower])
    same(run.fit(train, epochs=2), again.fit(train, epochs=2))


def slower(step: cr.Node) -> cr.Node:
    return 0.1 / (1.0 + step)


def test_the_files_are_plain(good: Path) -> None:
    tables = tomllib.loads((good / "run.toml").read_text())
    assert tables["model"]["layers"][0] == {
        "type": "Dense", "units": 4, "activation": {"function": "tanh"}, "bias": True,
        "bias_start": {"type": "Constant", "value": 0.0},
    }  # fmt: skip
    assert tables["classes"] == ["setosa", "versicolor", "virginica"]
    weights, _ = read_arrays(good / "weights.safetensors")
    assert sorted(weights) == ["parameters/0.bias", "parameters/0.weight", "parameters/1.bias", "parameters/1.weight"]
    lines = [json.loads(line) for line in (good / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == [1, 2]


def test_metrics_are_json_that_every_reader_takes(tmp_path: Path) -> None:
    """NaN and infinity are no JSON: they are written as null and as a text."""
    run = trained(1)
    last = len(run.history) + 1
    run.history.add_step({"step": last, "epoch": 1, "samples": 1, "odd": math.inf})
    run.history.epochs[0] |= {"odd": -math.inf, "none": math.nan}
    run.arrays["step"] = np.array(last, np.int32)
    folder = run.save(tmp_path)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    again = cr.load(folder)
    for name, column in run.history.steps.items():
        np.testing.assert_array_equal(again.history.steps[name], column)
    assert again.history.epochs[0]["odd"] == -math.inf
    assert math.isnan(again.history.epochs[0]["none"])


# ---- atomic ----


def test_a_save_that_fails_leaves_the_old_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write fails, in its middle or before its file is moved into place, the folder can still be loaded."""
    before = cr.load(folder)
    later = cr.load(folder).fit(iris()[0], epochs=5)
    real = os.replace
    for number in range(3):
        count = iter(range(100))

        def failing(source: Any, target: Any, fail: int = number, count: Iterator[int] = count) -> None:
            if next(count) == fail:
                raise OSError(28, "No space left on device")
            real(source, target)

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(RunFileError, match="could not be written: No space left on device"):
            later.save(folder)
        monkeypatch.setattr(os, "replace", real)
        assert sorted(path.name for path in folder.iterdir()) == FILES
        found = cr.load(folder)
        same(found, before)
        assert (found.epoch, len(found.history), len(found.history.epochs)) == (2, len(before.history), 2)
    same(cr.load(later.save(folder)), later)


@pytest.mark.parametrize("last", ["run.toml", "metrics.jsonl", "weights.safetensors", "checkpoint.safetensors"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_save_that_is_cut_short_leaves_the_old_run(
    last: str, error: BaseException, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = cr.fit(cr.Chain(cr.Dense(4, cr.sigmoid), cr.Dense(3)), iris()[0], epochs=1, seed=5)
    put = files._put

    def cut(path: Path, content: bytes) -> None:
        put(path, content[:20] if last in path.name else content)
        if last in path.name:
            raise error

    monkeypatch.setattr(files, "_put", cut)
    with pytest.raises(RunFileError if isinstance(error, OSError) else KeyboardInterrupt):
        other.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("moved", range(5))
def test_a_save_that_is_killed_while_its_files_take_their_places_is_there(
    moved: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read so, used so, and moved by the next save; a reader needs not be able to write."""
    other = trained(3, seed=5)
    replace, left = os.replace, [moved]

    def killed(source: Any, target: Any) -> None:
        if ".whole" in str(source):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(Path, "rmdir", lambda self: killed(self, self))
    with pytest.raises(KeyboardInterrupt):
        other.save(folder)
    monkeypatch.undo()
    assert (folder / ".whole").is_dir()
    again = cr.load(folder)
    assert (again.epoch, again.seed, again.history.epochs) == (3, 5, other.history.epochs)
    again.fit(iris()[0], epochs=4).save(folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    same(again, cr.load(folder))


def test_what_a_killed_save_left_is_cleared_up(folder: Path) -> None:
    (folder / ".part").mkdir()
    (folder / ".part" / "run.toml").write_text("half")
    run = cr.load(folder)
    run.save(folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_files_of_two_moments_are_not_taken_for_one(folder: Path) -> None:
    """Copied together by hand, or by a backup that was made while it was saved."""
    old = (folder / "checkpoint.safetensors").read_bytes()
    cr.load(folder).fit(iris()[0], epochs=3).save(folder)
    (folder / "checkpoint.safetensors").write_bytes(old)
    with pytest.raises(RunFileError, match="do not belong together"):
        cr.load(folder)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("not a folder")
    with pytest.raises(RunFileError, match="could not be written: File exists"):
        trained(1).save(tmp_path / "run")
    with pytest.raises(RunFileError, match="there is no folder"):
        cr.load(tmp_path / "run")


# ---- hostile ----


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


# ---- tables ----


def test_depth_is_bounded() -> None:
    plain: Any = {"type": "Dense", "units": 1}
    for _ in range(40):
        plain = {"type": "Chain", "layers": [plain]}
    with pytest.raises(RunFileError, match="nested more than 32 deep"):
        from_plain(plain)


def test_plain_values_come_back() -> None:
    for value in (
        cr.Dense(3, cr.relu), cr.initializers.Glorot("normal"), cr.losses.cross_entropy, cr.optimizers.Adam(0.5),
        cr.Chain(cr.Dense(2), cr.tanh, name="a"), functools.partial(cr.leaky_relu, slope=0.3),
    ):  # fmt: skip
        again = from_plain(tomllib.loads(tomli_w.dumps({"it": to_plain(value)}))["it"])
        assert again == value or (again.func, again.keywords) == (value.func, value.keywords)  # type: ignore[union-attr]


def test_what_has_no_name_is_refused() -> None:
    for value in (lambda x: x, object(), {1: 2}, functools.partial(cr.Dense, 3)):
        with pytest.raises(ConfigurationError, match="cannot be written to a file"):
            to_plain(value)


def test_every_name_of_the_package_that_is_written_is_read(tmp_path: Path) -> None:
    """Each activation that the package exports can stand in a model that is saved."""
    for name in ("identity", "leaky_relu", "relu", "sigmoid", "softmax", "step_function", "tanh"):
        function = getattr(cr, name)
        assert from_plain(to_plain(function)) is function
    assert not re.search(r"lambda", json.dumps(to_plain(cr.Chain(cr.Dense(3, cr.relu)))))
