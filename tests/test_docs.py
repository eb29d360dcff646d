"""Documentation that runs: the Python on every page is executed in order, and what it prints is compared.

A block marked ``python`` is run, one marked ``pycon`` is a session whose output must come as it stands there. All
blocks of a page share their names, in an empty folder. A block after the line ``<!-- not run -->`` is left out.
"""

from __future__ import annotations

import doctest
import re
import sys
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chainrule import extending

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])
RUN = [page for page in PAGES if "zh-CN" not in page.parts]  # test_docs_chinese.py: their code is the same
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS  # as for the docstrings, in pyproject.toml
_FENCE = re.compile(r"^( *)(`{3,})([^`]*)$")
_NAMED_CODE = re.compile(r"\[`([\w.]+)(?:\(\))?`\]\(([^)#\s]+\.py)\)")


@dataclass(frozen=True)
class Block:
    """Code of a page, its language, and the line of the page (from 1) on which it begins."""

    language: str
    code: str
    line: int


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page, without those marked as not run."""
    found: list[Block] = []
    before, opened, start = "", None, 0
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, start, inside = fence, number, []
        elif opened is None:
            before = line.strip() or before
        elif fence and not fence[3].strip() and len(fence[2]) >= len(opened[2]):
            if before != "<!-- not run -->":
                code = "".join(line.removeprefix(opened[1]) + "\n" for line in inside)
                found.append(Block(opened[3].strip().partition(" ")[0], code, start + 1))
            before, opened = "", None
        else:
            inside.append(line)
    if opened is not None:
        raise ValueError(f"the block that begins in line {start} is never closed")
    return found


def run_page(page: Path, names: dict[str, Any]) -> int:
    """Run the Python of a page among these names, and count its blocks; the first that fails raises."""
    count = 0
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language == "python":
            aligned = "\n" * (block.line - 1) + block.code  # so that a traceback points into the page
            exec(compile(aligned, str(page), "exec", dont_inherit=True), names)
        elif block.language == "pycon":
            session = doctest.DocTestParser().get_doctest(block.code, {}, page.name, str(page), block.line - 1)
            assert session.examples, f"{page.name}, line {block.line}: a session without >>>"
            session.globs = names  # not a copy: what a session defines is there for the blocks after it
            told: list[str] = []
            result = doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(
                session, out=told.append, clear_globs=False
            )
            assert result.failed == 0, "".join(told)
        else:
            continue
        count += 1
    return count


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The names of a new module, in an empty folder; an op that a page defines goes again."""
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # dataclasses look up their module
    monkeypatch.chdir(tmp_path)
    yield vars(module)
    for op in list(extending._own):
        extending.remove_op(op)


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_the_page_runs(page: Path, names: dict[str, Any]) -> None:
    run_page(page, names)


@pytest.mark.parametrize("chapter", range(1, 9))
def test_the_chapters_are_found_and_have_code(chapter: int) -> None:
    (page,) = (page for page in RUN if page.parent.name == "book" and page.name.startswith(f"{chapter:02}-"))
    assert len([block for block in blocks_of(page.read_text()) if block.language in ("python", "pycon")]) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_that_a_link_names_is_in_the_file_it_points_to(page: Path) -> None:
    assert missing_names(page) == []


def missing_names(page: Path) -> list[str]:
    """Names in links such as [`Node.calc_output`](neurons.py) that the file does not hold."""
    return [
        name
        for name, target in _NAMED_CODE.findall(page.read_text())
        if not target.endswith(name)
        and not re.search(rf"\b{name.rpartition('.')[2]}\b", (page.parent / target).read_text())
    ]


# ---- a page that is wrong is found -----------------------------------------------------------------------------


def written(folder: Path, *lines: str) -> Path:
    page = folder / "page.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return page


@pytest.mark.tiny
def test_blocks_share_their_names_and_an_empty_folder(tmp_path: Path, names: dict[str, Any]) -> None:
    page = written(
        tmp_path,
        *("```python", "from __future__ import annotations", "a = 1", "```"),
        *("```pycon", ">>> b = a + 1", ">>> b", "2", ">>> print('a', 'b   c ...')", "a b ...", "```"),
        *("- an item:", "  ```python", "  if True:", "      assert b == 2", "  ```"),
        *("```python", "open('here.txt', 'w').close()", "```"),
        *("```sh", "not python", "```", "````", "```python", "raise ValueError", "```", "````"),
        *("<!-- not run -->", "", "```python", "raise ValueError", "```"),
        *("```python", "from dataclasses import dataclass", "@dataclass", "class C:", "    x: 'int' = 3"),
        *("c = C()", "```"),
    )  # fmt: skip
    assert run_page(page, names) == 5
    assert (tmp_path / "here.txt").exists()
    assert names["c"].x == 3


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        (["```python", "assert 1 == 2", "```"], AssertionError, None),
        (["```python", "1 / 0", "```"], ZeroDivisionError, None),
        (["```python", "x = ", "```"], SyntaxError, None),
        (["```pycon", ">>> 1 + 1", "3", "```"], AssertionError, r"page.md(.|\n)*Expected:\n +3\n +Got:\n +2"),
        (["```pycon", ">>> 1 / 0", "```"], AssertionError, "ZeroDivisionError"),
        (["```pycon", "1 + 1", "```"], AssertionError, "page.md, line 2: a session without >>>"),
        (["```python", "x = 1"], ValueError, "line 1 is never closed"),
        (["<!-- not run -->", "```python", "1 / 0", "```", "```python", "{}[0]", "```"], KeyError, None),
        (["<!-- not run -->", "A sentence.", "```python", "1 / 0", "```"], ZeroDivisionError, None),
        (
            ["```python", "import warnings", "warnings.warn('old', UserWarning, 2)", "```"],
            UserWarning,
            "old",
        ),
    ],
)
def test_a_page_that_is_wrong_is_found(
    lines: list[str], error: type[Exception], message: str | None, tmp_path: Path, names: dict[str, Any]
) -> None:
    with pytest.raises(error, match=message):
        run_page(written(tmp_path, *lines), names)


@pytest.mark.tiny
def test_an_error_points_to_its_line_of_the_page(tmp_path: Path, names: dict[str, Any]) -> None:
    page = written(tmp_path, "# Title", "", "```python", "a = 1", "a / 0", "```")
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page, names)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.line) == (str(page), 5, "a / 0")


@pytest.mark.tiny
def test_a_name_that_is_not_in_the_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("def here(): ...\n")
    page = written(tmp_path, "[`here`](code.py) [`a.here()`](code.py) [`gone`](code.py) [`her`](code.py)")
    assert missing_names(page) == ["gone", "her"]
