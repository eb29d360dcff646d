"""Every command that the documentation shows on its page of commands is run, in order, with the exit code it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainrule.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "guide" / "command-line.md"
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"# exit code (\d+)")


def run_page(text: str) -> Iterator[tuple[str, int, int]]:
    """Each command of a page with its exit code, and the one that the page says."""
    for kind, block in _BLOCK.findall(text):
        if kind == "python":
            exec(compile(block, "page", "exec"), {})
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "chainrule", line
            said = _CODE.search(line)
            yield line, main(arguments), int(said[1]) if said else 0


def test_every_command_on_the_page_ends_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = list(run_page(PAGE.read_text()))
    assert len(ran) > 10
    assert [(line, code) for line, code, said in ran if code != said] == []
    assert "Traceback" not in capsys.readouterr().err


def test_a_command_that_ends_otherwise_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ((_, code, said),) = run_page("```sh\nchainrule evaluate runs/nowhere\n```\n")
    assert (code, said) == (2, 0)
