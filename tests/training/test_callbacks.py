"""Callbacks: when they are called, what they see, how they stop a run; progress; and the history."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.training import Callback, History, OnEpoch, StopAtGradient, StopAtLoss, StopWithoutImprovement, loop
from chainrule.training.progress import Progress
from tests.training.making import flowers, line, model

SGD = cr.optimizers.SGD


class Listener(Callback):
    """Writes down what is called, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def on_start(self, training: Any) -> None:
        self.heard.append(("start", training.epoch))

    def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
        self.heard.append(("steps", [record["step"] for record in records], training.offset))

    def on_epoch(self, training: Any, record: dict[str, Any]) -> None:
        self.heard.append(("epoch", record["epoch"], training.epoch, training.offset))

    def on_end(self, training: Any) -> None:
        self.heard.append(("end", training.stopped))


def test_the_order_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 0.0)
    listener = Listener()
    cr.fit(cr.Chain(cr.Dense(1)), line(5), batch_size=2, epochs=2, callbacks=[listener], optimizer=SGD(0.01))
    assert listener.heard == [
        ("start", 0),
        ("steps", [1], 2), ("steps", [2], 4), ("steps", [3], 5), ("epoch", 1, 1, 0),
        ("steps", [4], 2), ("steps", [5], 4), ("steps", [6], 5), ("epoch", 2, 2, 0),
        ("end", ""),
    ]  # fmt: skip


def test_many_steps_are_told_at_once_and_none_twice() -> None:
    listener = Listener()
    cr.fit(cr.Chain(cr.Dense(1)), line(50), batch_size=1, epochs=3, callbacks=[listener], optimizer=SGD(0.01))
    told = [step for call in listener.heard if call[0] == "steps" for step in call[1]]
    assert told == list(range(1, 151))


def test_short_epochs_are_not_all_beginning() -> None:
    """How many steps fit into a call is known from one epoch to the next: two calls an epoch, for its two sizes."""
    listener = Listener()
    cr.fit(model(), flowers()[0], batch_size=32, epochs=20, callbacks=[listener])
    told = [len(call[1]) for call in listener.heard if call[0] == "steps"]
    assert told[-20:] == [3, 1] * 10


def test_a_pause_ends_a_call_with_that_step() -> None:
    class Pauses(Listener):
        def on_start(self, training: Any) -> None:
            training.pause_at(70)
            training.pause_at(7)

    listener = Pauses()
    cr.fit(cr.Chain(cr.Dense(1)), line(50), batch_size=1, epochs=3, callbacks=[listener], optimizer=SGD(0.01))
    last = [call[1][-1] for call in listener.heard if call[0] == "steps"]
    assert {7, 50, 70, 100, 150} <= set(last)


def test_rest_comes_when_every_callback_has_seen_what_came() -> None:
    class Rests(Callback):
        def __init__(self) -> None:
            self.seen: list[tuple[int, int]] = []

        def on_rest(self, training: Any) -> None:
            told = [call for call in listener.heard if call[0] == "epoch"]
            self.seen.append((training.epoch, len(told)))

    rests, listener = Rests(), Listener()
    cr.fit(model(), flowers()[0], epochs=3, callbacks=[rests, listener])
    assert {epoch for epoch, _ in rests.seen} == {0, 1, 2, 3}
    assert all(epoch == told for epoch, told in rests.seen)


def test_what_a_callback_remembers_is_found_again_wherever_it_stands(tmp_path: Path) -> None:
    train, test = flowers()
    still = SGD(0.0)  # nothing can become better
    stop = StopWithoutImprovement(6)
    run = cr.fit(model(), train, validation=test, epochs=3, callbacks=[stop], optimizer=still)
    again = cr.load(run.save(tmp_path))
    again.fit(train, validation=test, epochs=20, callbacks=[Listener(), StopWithoutImprovement(6)])
    assert again.epoch == 7


def test_a_callback_sees_the_run_as_it_is_then() -> None:
    train, test = flowers()
    seen: list[float] = []
    look = OnEpoch(lambda run, record: seen.append(run.evaluate(test)["loss"]))  # type: ignore[attr-defined]
    run = cr.fit(model(), train, validation=test, epochs=3, callbacks=[look])
    assert seen == [record["validation_loss"] for record in run.history.epochs]


def test_what_a_callback_adds_to_the_record_is_kept(tmp_path: Path) -> None:
    run = cr.fit(
        model(),
        flowers()[0],
        epochs=2,
        callbacks=[OnEpoch(lambda run, record: record.update(mine=record["epoch"] * 2))],
    )
    assert [record["mine"] for record in run.history.epochs] == [2, 4]
    assert [record["mine"] for record in cr.load(run.save(tmp_path)).history.epochs] == [2, 4]


def test_a_learning_rate_can_be_lowered_from_a_callback() -> None:
    def halve(run: Any, record: dict[str, Any]) -> None:
        run.numbers["numbers/learning_rate"] /= 2

    run = cr.fit(model(), flowers()[0], epochs=3, optimizer=SGD(0.4), callbacks=[OnEpoch(halve)], batch_size=None)
    assert run.history.steps["learning_rate"].tolist() == [0.4, 0.2, 0.1]


def test_an_error_in_a_callback_comes_out_and_the_others_are_told_of_the_end() -> None:
    def fail(run: Any, record: dict[str, Any]) -> None:
        raise RuntimeError("mine")

    listener = Listener()
    run = cr.prepare(model(), flowers()[0])
    with pytest.raises(RuntimeError, match="mine"):
        run.fit(flowers()[0], epochs=5, callbacks=[listener, OnEpoch(fail)])
    assert listener.heard[-1] == ("end", "")
    assert run.epoch == 1
    run.fit(flowers()[0], epochs=2)
    assert run.epoch == 2


# ---- stops ----


def test_stop_at_loss() -> None:
    run = cr.fit(
        cr.Chain(cr.Dense(1)), line(10), epochs=500, batch_size=None, optimizer=SGD(0.1), callbacks=[StopAtLoss(0.1)]
    )
    losses = [record["loss"] for record in run.history.epochs]
    assert losses[-1] <= 0.1 < losses[-2]
    assert run.stopped == f"loss {losses[-1]:.6g} reached 0.1"


def test_an_accuracy_counts_upwards() -> None:
    train, test = flowers()
    stop = StopAtLoss(0.9, monitor="validation_accuracy")
    run = cr.fit(model(), train, validation=test, epochs=50, callbacks=[stop])
    values = [record["validation_accuracy"] for record in run.history.epochs]
    assert values[-1] >= 0.9
    assert max(values[:-1], default=0) < 0.9
    assert 1 < run.epoch < 50


def test_stop_at_gradient() -> None:
    run = cr.fit(
        cr.Chain(cr.Dense(1)),
        line(10),
        epochs=500,
        batch_size=None,
        optimizer=SGD(0.1),
        callbacks=[StopAtGradient(0.05)],
    )
    norms = [record["gradient_norm"] for record in run.history.epochs]
    assert norms[-1] <= 0.05 < norms[-2]
    assert "gradient norm 0.0" in run.stopped
    assert "reached 0.05" in run.stopped


def test_stop_without_improvement() -> None:
    """Values are made up, so that the rule itself is seen: a patience of 3, and too little counts for nothing."""
    for values, least, ends in (
        ([3, 1, 2, 2, 2, 0], 0.0, 5),
        ([3, 1, 2, 2, 0, 2, 2, 2], 0.0, 8),
        ([3, 2.9, 2.8, 2.7, 2.6, 2.5], 0.5, 4),
        ([3, 2, 1, 0, -1, -2], 0.5, 6),
        ([1, 1, 1, 1, 1], 0.0, 4),
    ):
        stop = StopWithoutImprovement(patience=3, monitor="it", least=least)

        class Fake:
            stopped = ""
            metrics = ()

            def stop(self, reason: str) -> None:
                self.stopped = reason

        fake: Any = Fake()
        ended = 0
        while not fake.stopped and ended < len(values):
            stop.on_epoch(fake, {"it": float(values[ended])})
            ended += 1
        assert ended == ends
        assert bool(fake.stopped) is (ends < len(values) or values[-1] == 2)


def test_stop_without_improvement_of_an_accuracy() -> None:
    train, test = flowers()
    stop = StopWithoutImprovement(patience=4, monitor="validation_accuracy")
    run = cr.fit(model(), train, validation=test, epochs=200, callbacks=[stop])
    values = [record["validation_accuracy"] for record in run.history.epochs]
    best = int(np.argmax(values))
    assert run.epoch == best + 1 + 4
    assert run.stopped == "validation_accuracy has not improved for 4 epochs"


@pytest.mark.parametrize(
    "callback", [StopAtLoss(0.1, monitor="acuracy"), StopWithoutImprovement(monitor="validation_loss")]
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(callback: Callback) -> None:
    with pytest.raises(
        ConfigurationError, match=r"watches '(acuracy|validation_loss)', and an epoch records loss, accuracy"
    ):
        cr.fit(model(), flowers()[0], epochs=2, callbacks=[callback])


def test_patience_without_meaning_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="patience is 1 or more, not 0"):
        StopWithoutImprovement(patience=0)


def test_the_first_reason_to_stop_is_told() -> None:
    both = [OnEpoch(lambda run, record: run.stop("first")), OnEpoch(lambda run, record: run.stop("second"))]
    run = cr.fit(model(), flowers()[0], epochs=3, callbacks=both)
    assert (run.epoch, run.stopped) == (1, "first")


def test_a_state_that_is_not_plain_is_refused_when_it_is_saved(tmp_path: Path) -> None:
    class Odd(Callback):
        def state(self) -> dict[str, Any]:
            return {"object": object()}

    run = cr.fit(model(), flowers()[0], epochs=1, callbacks=[Odd()])
    with pytest.raises(ConfigurationError, match="the state of a callback cannot be written"):
        run.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ---- progress ----


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(stream: io.StringIO, **settings: Any) -> list[str]:
    train, test = flowers()
    epochs = settings.pop("epochs", 3)
    shown = Progress(epochs, len(train), stream)
    cr.fit(
        model(),
        train,
        validation=test,
        epochs=epochs,
        callbacks=[*settings.pop("callbacks", []), shown],
        progress=False,
    )
    return stream.getvalue().splitlines()


def test_a_line_an_epoch() -> None:
    lines = progress(io.StringIO())
    rows = [text for text in lines if "/3" in text]
    assert [row.split()[0] for row in rows] == ["1/3", "2/3", "3/3"]
    head = "\n".join(lines[: len(lines) - 3])
    for word in ("epoch", "loss", "accuracy", "validation", "samples/s", "time left"):
        assert word in head
    assert "%" in rows[0]
    assert rows[-1].rstrip().endswith("0 s")
    assert "\r" not in "".join(lines)


def test_a_terminal_sees_the_steps_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 0.0)
    clock = iter(range(10**6))
    monkeypatch.setattr("chainrule.training.progress.time.perf_counter", lambda: float(next(clock)))
    stream = Terminal()
    progress(stream, epochs=1)
    text = stream.getvalue()
    assert "\r\033[K" in text
    assert "27%" in text  # 32 of 120 samples
    assert "loss" in text


def test_the_reason_for_an_early_end_is_told() -> None:
    lines = progress(io.StringIO(), callbacks=[OnEpoch(lambda run, record: run.stop("enough is enough"))])
    assert lines[-1] == "stopped in epoch 1: enough is enough"


def test_a_step_of_ones_own_shows_what_it_records() -> None:
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def odd(state: Any, batch: Any) -> dict[str, cr.Node]:
        y = state.apply(unit, batch["x"])
        state.descend(graph.sum(y**2), unit, SGD(0.01))
        return {"sharpness": graph.sum(y)}

    stream = io.StringIO()
    data = {"x": np.ones((4, 2), np.float32)}
    cr.fit(odd, data, epochs=1, callbacks=[Progress(1, 4, stream)], progress=False)
    assert "sharpness" in stream.getvalue()


def test_progress_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    cr.fit(model(), flowers()[0], epochs=1, progress=True)
    assert "1/1" in capsys.readouterr().err
    cr.fit(model(), flowers()[0], epochs=1)
    cr.fit(model(), flowers()[0], epochs=1, progress=False)
    found = capsys.readouterr()
    assert found.err == found.out == ""


# ---- history ----


@pytest.mark.tiny
def test_a_history_keeps_columns_of_equal_length() -> None:
    history = History()
    history.add_step({"step": 1, "epoch": 1, "samples": 2, "loss": 0.5, "seconds": 1.0})
    history.add_step({"step": 2, "epoch": 1, "samples": 1, "loss": 2.0, "seconds": 1.0, "late": 7.0})
    history.add_step({"step": 3, "epoch": 2, "samples": 3, "loss": 1.0, "seconds": 0.5})
    assert len(history) == 3
    assert history.samples == 6
    np.testing.assert_array_equal(history.steps["late"], [np.nan, 7.0, np.nan])
    assert {len(column) for column in history.steps.values()} == {3}
    assert [record["step"] for record in history.step_records(1)] == [2, 3]
    record = history.last_epoch()
    assert (record["epoch"], record["steps"], record["samples"], record["loss"]) == (2, 1, 3, 1.0)
    assert record["samples_per_second"] == 6.0
