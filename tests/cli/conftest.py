"""Each test of the command stands in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.calling import Command


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAINRULE_TRACEBACK", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)
