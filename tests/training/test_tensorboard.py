"""What TensorBoard is given: read back from the files, record by record, with their checksums."""

from __future__ import annotations

import struct
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.training import Callback, TensorBoard

from .making import flowers, model


def events(folder: Path) -> list[Any]:
    """All events of a folder, in the order of its files."""
    crc32c = pytest.importorskip("tensorboardX.crc32c").crc32c
    from tensorboardX.proto.event_pb2 import Event

    def masked(content: bytes) -> int:
        found = int(crc32c(content))
        return (((found >> 15) | (found << 17)) + 0xA282EAD8) & 0xFFFFFFFF

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            body = content[place + 12 : place + 12 + length]
            assert struct.unpack_from("<I", content, place + 8) == (masked(content[place : place + 8]),)
            assert struct.unpack_from("<I", content, place + 12 + length) == (masked(body),)
            found.append(Event.FromString(body))
            place += length + 16
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for event in events(folder):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found[value.tag].append((event.step, value.simple_value))
    return found


def test_scalars_are_those_of_the_history(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    train, test = flowers()
    run = cr.fit(model(), train, validation=test, epochs=5, callbacks=[TensorBoard(tmp_path, every_steps=3)])
    found = scalars(tmp_path)
    steps = [*run.history.step_records()]
    for name in ("loss", "accuracy", "gradient_norm", "learning_rate"):
        wanted = [(row["step"], row[name]) for row in steps if row["step"] % 3 == 0]
        assert found[f"{name}/step"] == [(step, float(np.float32(value))) for step, value in wanted]
    for name in ("loss", "validation_loss", "accuracy", "validation_accuracy"):
        tag = f"{name.removeprefix('validation_')}/{'validation' if 'validation' in name else 'epoch'}"
        assert found[tag] == [(4 * record["epoch"], float(np.float32(record[name]))) for record in run.history.epochs]
    assert not {tag for tag in found if tag.startswith(("step/", "epoch/"))}


def test_model_settings_and_histograms_are_told(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    optimizer = cr.optimizers.Adam(0.003)
    run = cr.fit(model(), flowers()[0], epochs=4, optimizer=optimizer, callbacks=[TensorBoard(tmp_path, histograms=2)])
    values = [(event.step, value) for event in events(tmp_path) for value in event.summary.value]
    texts = [value.tensor.string_val[0].decode() for _, value in values if value.tensor.string_val]
    assert any("Dense(tanh)" in text for text in texts)
    assert any("optimizer.learning_rate: 0.003" in text for text in texts)
    histograms = [(step, value) for step, value in values if value.WhichOneof("value") == "histo"]
    assert [(step, value.tag) for step, value in histograms] == [
        (step, f"parameters/{path}") for step in (8, 16) for path in run.parameters
    ]
    weight = {value.tag: value.histo for step, value in histograms if step == 16}["parameters/0.weight"]
    array = run.parameters["0.weight"]
    assert weight.num == array.size
    assert (weight.min, weight.max) == (array.min(), array.max())
    assert weight.sum == pytest.approx(array.sum(), rel=1e-6)
    plugins = [value.metadata.plugin_data for _, value in values if value.metadata.plugin_data.plugin_name == "hparams"]
    assert len(plugins) == 3
    assert b"optimizer.learning_rate" in b"".join(plugin.content for plugin in plugins)


def test_gone_on_with_what_came_after_the_checkpoint_is_purged(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    train, _ = flowers()
    run = cr.fit(model(), train, epochs=2, callbacks=[TensorBoard(tmp_path / "events")])
    run.save(tmp_path / "run")
    run.fit(train, epochs=3, callbacks=[TensorBoard(tmp_path / "events")])
    cr.load(tmp_path / "run").fit(train, epochs=4, callbacks=[TensorBoard(tmp_path / "events")])
    starts = [event.step for event in events(tmp_path / "events") if event.HasField("session_log")]
    assert starts == [9, 9]


def test_without_the_library_the_extra_is_named_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(cr.errors.MissingExtraError, match=r"chainrule\[tensorboard\]"):
        TensorBoard("never")
    assert not Path("never").exists()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    for settings in ({"every_steps": 0}, {"histograms": True}, {"histograms": -1}):
        with pytest.raises(cr.errors.ConfigurationError, match="whole number above 0"):
            TensorBoard(tmp_path, **settings)
    (tmp_path / "taken").write_text("")
    with pytest.raises(cr.errors.RunFileError, match="could not be written"):
        cr.fit(model(), flowers()[0], epochs=1, callbacks=[TensorBoard(tmp_path / "taken")])


def test_a_step_of_ones_own_is_written_by_the_names_it_records(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def fall(state: Any, batch: Any) -> dict[str, cr.Node]:
        y = state.apply(unit, batch["x"])
        state.descend(cr.graph.sum(y**2), unit, cr.optimizers.SGD(0.01))
        return {"height": cr.graph.sum(y)}

    callbacks: list[Callback] = [TensorBoard(tmp_path, every_steps=1)]
    run = cr.fit(fall, {"x": np.ones((8, 2), np.float32)}, epochs=2, batch_size=4, callbacks=callbacks)
    assert scalars(tmp_path)["height/step"] == [*enumerate(run.history.steps["height"].tolist(), 1)]
