"""kill -9 at fifty moments that nobody chose: gone on with each time, a training ends with the bits of one in peace."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")


def killing(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "tests.training.killing", str(folder), *arguments],
        env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is such a place: a kill does not care, and a busy disk takes its time for each save."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


@pytest.mark.parametrize("case", ["memory", "stream"])
def test_kills_change_no_bit(case: str, folder: Path) -> None:
    done = killing(folder, case, "25")
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.match(r"\d+ kills, (\d+) of them in the middle of a save", done.stdout)
    assert told, done.stdout
    assert int(told[1]) >= 1


def test_a_save_that_is_not_whole_would_be_found(folder: Path) -> None:
    """The check can fail: files that are written in their places, one after the other."""
    done = killing(folder, "memory", "500", "--torn")
    assert done.returncode != 0
    assert "do not belong together" in done.stderr or "damaged" in done.stderr or "is missing" in done.stderr
