from __future__ import annotations

import io
import re
import sys
import types
from typing import Any

import pytest

import chainrule as cr
from chainrule.training.progress import Progress


def shown(epochs: int, *records: dict[str, Any], samples: int = 10) -> list[str]:
    stream = io.StringIO()
    progress = Progress(epochs, samples, stream)
    train, _ = cr.data.load("xor")
    run = cr.prepare(cr.Chain(cr.Dense(2)), train)
    progress.on_start(run)
    for number, record in enumerate(records, 1):
        progress.on_epoch(run, {"epoch": number, "steps": 1, "samples": 4, **record, "samples_per_second": 1234.5})
    return stream.getvalue().splitlines()


@pytest.mark.tiny
def test_what_is_shown_stands_under_its_name() -> None:
    record = {"loss": 0.5, "accuracy": 0.25, "gradient_norm": 3.0, "validation_loss": 7e-7, "validation_accuracy": 1.0}
    lines = shown(200, record)
    assert lines[0].strip() == "--- validation ---"
    assert lines[1].split() == "epoch loss accuracy loss accuracy samples/s time left".split()
    assert lines[2].split()[:6] == ["1/200", "0.5000", "25.00%", "7.00e-07", "100.00%", "1,234"]
    assert lines[2].endswith(" s")
    assert len({len(line) for line in lines[1:]}) == 1
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].rindex("-") == lines[1].rindex("accuracy") + len("accuracy") - 1


def test_a_step_of_ones_own_is_shown_by_the_names_it_records() -> None:
    lines = shown(3, {"generator_loss": 0.5, "discriminator_loss": 2.0})
    assert lines[0].split()[:5] == ["epoch", "generator", "loss", "discriminator", "loss"]


def test_an_accuracy_of_all_but_one_is_not_a_hundred_per_cent() -> None:
    assert shown(3, {"accuracy": 1 - 1e-7})[1].split()[1] == "99.99%"


def test_why_it_stopped_is_said() -> None:
    stream = io.StringIO()
    train, _ = cr.data.load("xor")
    run = cr.fit(
        cr.Chain(cr.Dense(2)), train, epochs=9, callbacks=[cr.training.StopAtLoss(99.0), Progress(9, 4, stream)]
    )
    assert run.epoch == 1
    assert "stopped in epoch 1: loss" in stream.getvalue()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def course(epochs: int, stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.01) -> cr.Run:
    """As many epochs, each so many seconds long."""
    now = [0.0]
    monkeypatch.setattr("chainrule.training.progress.time.perf_counter", lambda: now[0])
    progress = Progress(epochs, 10, stream)
    run = cr.prepare(cr.Chain(cr.Dense(2)), cr.data.load("xor")[0])
    progress.on_start(run)
    for epoch in range(1, epochs + 1):
        now[0] += seconds
        record = {"loss": 1 / epoch, "accuracy": 0.5, "validation_loss": 1.0, "validation_accuracy": 0.5}
        progress.on_epoch(run, {"epoch": epoch, **record, "samples_per_second": 1000.0})
    progress.on_end(run)
    return run


def numbers(lines: list[str]) -> list[int]:
    return [int(line.split("/")[0]) for line in lines if "/" in line.split("  ")[0] or line.strip()[:1].isdigit()]


@pytest.mark.parametrize(("seconds", "most"), [(0.01, 31 + 4), (1.0, 31 + 400), (5.0, 1000)])
def test_a_log_has_no_flood_of_lines_and_no_control_codes(
    seconds: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand fast epochs are a few lines, slow ones have one each; the last is always there."""
    stream = io.StringIO()
    course(1000, stream, monkeypatch, seconds)
    lines = stream.getvalue().splitlines()
    found = numbers(lines[2:])
    assert found[:30] == list(range(1, 31))
    assert found[-1] == 1000
    assert len(found) <= most
    assert len(found) == 1000 or seconds < 3
    assert not set(stream.getvalue()) & {"\r", "\033", "\b"}


def test_a_training_that_ends_early_shows_its_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    train, _ = cr.data.load("xor")
    stop = cr.training.OnEpoch(lambda run, record: run.stop("enough") if record["epoch"] == 77 else None)
    monkeypatch.setattr("chainrule.training.progress.time.perf_counter", lambda: 0.0)
    cr.fit(cr.Chain(cr.Dense(2)), train, epochs=500, callbacks=[stop, Progress(500, 4, stream)])
    assert numbers(stream.getvalue().splitlines()[1:-1]) == [*range(1, 31), 77]


def screen(text: str) -> list[str]:
    """What a terminal shows of a text: a carriage return and an erasure take away the line."""
    lines = [""]
    for part in text.replace("\r\033[K", "\r").splitlines(keepends=True):
        for piece in part.removesuffix("\n").split("\r")[1:] if "\r" in part else [part.removesuffix("\n")]:
            lines[-1] = piece
        if part.endswith("\n"):
            lines.append("")
    return lines


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 20])
def test_a_terminal_rewrites_one_line_and_none_is_longer_than_it(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = _Terminal()
    course(1000, stream, monkeypatch)
    shown = screen(stream.getvalue())
    assert numbers(shown[2:] if columns > 40 else shown[1:])[-1] == 1000
    assert len(shown) < 50
    assert stream.getvalue().count("\r") > 100  # the others passed
    assert all(len(line) < columns for line in shown)
    assert all(len(piece) < columns + 3 for piece in stream.getvalue().replace("\n", "\r").split("\r"))
    assert "loss" in stream.getvalue()
    assert ("time left" in stream.getvalue()) == (columns >= 80)
    assert not re.search(r"\033\[[\d;]*m", stream.getvalue())


def test_the_line_within_an_epoch_is_no_longer_than_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    stream = _Terminal()
    run = cr.prepare(cr.Chain(cr.Dense(2)), cr.data.load("xor")[0])
    progress = Progress(4000, 10, stream)
    progress.on_start(run)
    progress._shown = -1.0
    progress.on_steps(run, [{"loss": 0.25}])
    assert len(stream.getvalue().removeprefix("\r\033[K")) == 23


def test_a_terminal_that_is_dumb_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = _Terminal()
    course(50, stream, monkeypatch)
    assert "\r" not in stream.getvalue()


class _Output:
    """A notebook's output: what it shows is replaced, as IPython's handles do it."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def display(self, thing: Any, display_id: bool = False) -> _Output:
        assert display_id
        self.shown.append(thing)
        return self

    def update(self, thing: Any) -> None:
        self.shown[-1] = thing


def notebook(monkeypatch: pytest.MonkeyPatch, kernel: object) -> _Output:
    output = _Output()
    shell = types.SimpleNamespace(kernel=kernel)
    whole = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", whole)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=output.display))
    return output


def test_a_notebook_shows_one_output_that_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = notebook(monkeypatch, kernel=object())
    course(1000, None, monkeypatch)
    (shown,) = output.shown
    lines = repr(shown).splitlines()
    assert "validation" in lines[0]
    assert lines[1].split()[0] == "epoch"
    assert numbers(lines[2:])[-1] == 1000
    assert len(lines) <= 45
    assert shown._repr_html_().startswith("<pre")
    shown.text = "<script>"
    assert "<script>" not in shown._repr_html_()
    cr.fit(cr.Chain(cr.Dense(2)), cr.data.load("xor")[0], epochs=2)  # shown without being asked for
    assert len(output.shown) == 2
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    output = notebook(monkeypatch, kernel=None)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    course(2, None, monkeypatch)
    assert output.shown == []
    assert "2/2" in stream.getvalue()


def test_on_a_terminal_the_line_of_an_epoch_is_rewritten() -> None:
    stream = _Terminal()
    train, _ = cr.data.load("xor")
    run = cr.prepare(cr.Chain(cr.Dense(2)), train)
    progress = Progress(4, 10, stream)
    progress.on_start(run)
    run.offset = 5
    progress._shown = -1.0
    progress.on_steps(run, [{"loss": 0.25}])
    assert stream.getvalue().startswith("\r\033[K")
    assert "1/4   50%  loss 0.2500" in stream.getvalue()
    progress.on_steps(run, [{"loss": 0.25}])
    assert stream.getvalue().count("\r") == 1
