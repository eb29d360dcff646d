"""A run is a folder of plain files: what is written comes back to the bit, whole or not at all."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

import chainrule as cr
from chainrule.errors import ConfigurationError, RunFileError
from chainrule.formats import folder as files
from chainrule.formats.configuration import from_plain, to_plain
from chainrule.formats.folder import read_arrays
from chainrule.keys import Key
from chainrule.optimizers import Compose, Descend, Momentum
from tests.formats.making import iris, same, trained

FILES = ["checkpoint.safetensors", "metrics.jsonl", "run.toml", "weights.safetensors"]


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
