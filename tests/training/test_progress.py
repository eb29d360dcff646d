from __future__ import annotations

import io
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
