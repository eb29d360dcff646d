"""What the tests of the command share: calling it in this process or in one of its own, and small files to give it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chainrule.cli import main

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Called:
    """What a call left behind."""

    code: int
    output: str
    errors: str


class Command:
    """The command, called in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Called:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Called(code, captured.out, captured.err)

    def works(self, *arguments: object) -> str:
        """The output of a call that has to work."""
        called = self(*arguments)
        assert called.code == 0, called.errors
        return called.output

    def refuses(self, *arguments: object) -> str:
        """The message of a call that has to be refused as a mistake, in words."""
        called = self(*arguments)
        assert called.code == 2, (called.code, called.output, called.errors)
        assert "Traceback" not in called.errors
        assert "bug in chainrule" not in called.errors
        assert any(line.startswith("chainrule: ") for line in called.errors.splitlines())
        return called.errors


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process that finds this checkout."""
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **settings}


def process(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "chainrule", *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        timeout=120,
        check=False,
    )


def write_table(path: Path, header: str, rows: Sequence[str]) -> Path:
    """A CSV file."""
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def flowers(path: Path, rows: int = 60) -> Path:
    """A table of numbers, a text and two classes that are easy to tell apart."""
    lines = [
        f"{row % 7},{row % 2 * 3 + row % 5 / 10},{'wet' if row % 3 else 'dry'},{'ab'[row % 2]}" for row in range(rows)
    ]
    return write_table(path, "width,length,soil,kind", lines)


def prices(path: Path, rows: int = 60) -> Path:
    """A table whose target is a number: 1000·size + 500."""
    lines = [f"{1 + row * 37 % 100 / 10},{row},{1000 * (1 + row * 37 % 100 / 10) + 500}" for row in range(rows)]
    return write_table(path, "size,id,price", lines)
