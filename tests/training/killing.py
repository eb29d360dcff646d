"""Train, be killed at a moment that nobody chose, go on; again and again. Then compare with a training left alone.

    python -m tests.training.killing FOLDER memory 50
    python -m tests.training.killing FOLDER stream 2000 --seed 7      a longer one

One process, in which no thread was ever started, loads what is needed and forks: a life costs milliseconds. ``--torn``
breaks the save on purpose, so that its files are written in their places one after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.data import epoch_order, stream
from chainrule.formats import folder as files
from chainrule.training import Callback, Checkpoint, StopWithoutImprovement, loop
from tests.training.making import flowers, model, same_bits

TRAIN, TEST = flowers()
EPOCHS = 20
SETTINGS: dict[str, dict[str, Any]] = {
    "memory": {"optimizer": cr.optimizers.SGD(0.3, momentum=0.9), "batch_size": 7},
    "stream": {"optimizer": cr.optimizers.Adam(0.02), "batch_size": 16},
}


def data(case: str) -> Any:
    """The same samples, in memory or as a stream of chunks in the order in which a run takes them."""
    if case == "memory":
        return TRAIN

    def source(epoch: int) -> Iterator[Any]:
        order = epoch_order(1, epoch, len(TRAIN))
        for start in range(0, len(TRAIN), 11):
            yield TRAIN.subset(order[start : start + 11])

    return stream(source, samples=len(TRAIN), classes=TRAIN.classes).prepared_as(TRAIN)


class Telling(Callback):
    """Says that the training has begun."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def on_start(self, training: Any) -> None:
        if self.pipe >= 0:
            os.write(self.pipe, b"!")


class Saving(Checkpoint):
    """Saves all the time, so that many a kill comes in the middle of it."""

    def _begin(self, training: Any, spent: float) -> None:
        super()._begin(training, 0.0)


def train(folder: Path, case: str, pipe: int = -1) -> None:
    """Begin a run, or go on with what is there; early stopping has a memory that has to survive."""
    begun = files.is_run(folder)
    run = cr.load(folder) if begun else cr.prepare(model(), data(case), seed=1, **SETTINGS[case])
    saving = Saving(folder, every_seconds=0.0, every_steps=5, keep=2, best="validation_loss")
    watching = [saving, Telling(pipe), StopWithoutImprovement(1000, restore_best=True)]
    run.fit(data(case), validation=TEST, epochs=EPOCHS, callbacks=watching)


def life(work: Callable[[], None]) -> int:
    """The work in a process of its own; gives its number."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def ended(pid: int) -> None:
    """Wait for a process that was not killed."""
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"a life ended by itself, with status {status}")


@contextlib.contextmanager
def torn(folder: Path) -> Iterator[Path]:
    """A save that is none: each file in its place, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def main() -> None:
    """Kill, compare, and say how many kills came in the middle of a save."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("case", choices=list(SETTINGS))
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--torn", action="store_true")
    asked = parser.parse_args()
    loop._SECONDS_PER_CALL = 0.0005
    parts, chance = asked.folder / "parts", random.Random(asked.seed)

    def alone() -> None:
        stop = StopWithoutImprovement(1000, restore_best=True)
        run = cr.fit(model(), TRAIN, validation=TEST, epochs=EPOCHS, seed=1, callbacks=[stop], **SETTINGS[asked.case])
        run.save(asked.folder / "whole")

    ended(life(alone))
    if asked.torn:
        files.writing = torn
    killed = within = whole_runs = 0
    # On a machine that is busy saves are few: it goes on until a kill came into one, or ten times as often.
    while killed < asked.kills or (not within and killed < 10 * asked.kills):
        reading, writing = os.pipe()
        pid = life(lambda end=writing: train(parts, asked.case, end))  # type: ignore[misc]
        os.close(writing)
        if chance.random() < 0.9:
            os.read(reading, 1)
        os.close(reading)
        time.sleep(chance.uniform(0.0, 0.06))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed += 1
            within += any(parts.rglob(".part")) or any(parts.rglob(".whole"))
            for folder in (parts, *parts.glob("checkpoints/*")):
                if files.is_run(folder):
                    cr.load(folder)  # each is whole
        elif status:
            raise SystemExit(f"a life ended by itself, with status {status}")
        else:  # it came to its end: compared, and begun anew
            whole_runs += 1
            compare(asked.folder)
            os.replace(parts, asked.folder / f"done-{whole_runs}")
    ended(life(lambda: train(parts, asked.case)))
    compare(asked.folder)
    print(f"{killed} kills, {within} of them in the middle of a save, {whole_runs + 1} runs: the same bits")


def compare(folder: Path) -> None:
    """Arrays, history and the best checkpoint; and nothing is left lying about."""
    whole, parts = cr.load(folder / "whole"), cr.load(folder / "parts")
    same_bits(whole, parts)
    assert whole.epoch == EPOCHS
    remembered = [dict(run.remembered()["StopWithoutImprovement 0"]) for run in (whole, parts)]
    for name, value in remembered[0].items():
        assert np.asarray(value).tobytes() == np.asarray(remembered[1][name]).tobytes(), name
    best = cr.load(folder / "parts", checkpoint="best")
    losses = [record["validation_loss"] for record in whole.history.epochs]
    assert best.epoch == losses.index(min(losses)) + 1
    assert best.evaluate(TEST)["loss"] == min(losses)
    left = sorted(str(path.relative_to(folder)) for path in (folder / "parts").rglob(".*"))
    assert not left, left  # of killed saves


if __name__ == "__main__":
    main()
