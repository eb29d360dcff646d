"""A run that was saved, once for all tests, and copies of it to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.formats.making import trained


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained().save(tmp_path_factory.mktemp("runs") / "good")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of a good run, to be damaged."""
    shutil.copytree(good, tmp_path / "run")
    return tmp_path / "run"
