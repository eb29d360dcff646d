"""Documentation that points somewhere: every relative link has a target, every term of the glossary its code."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])
GLOSSARY = ROOT / "docs" / "README.md"
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TERM = re.compile(r"^\| ([^|]+) \| [^|]+ \| \[`(chainrule[\w.]*)`\]\(([^)]+)\) \|$", re.MULTILINE)


def broken_links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = (link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link)
    return [link for link in links if link and not (page.parent / link).exists()]


def found(name: str) -> Any:
    """The object of this dotted name: the longest part that is a module, then attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_has_a_target(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#top) [b](nowhere.md) [c](https://example.org/x)\n```\n[d](code.md)\n```\n")
    assert broken_links(page) == ["nowhere.md"]


def terms() -> list[tuple[str, str, str]]:
    return _TERM.findall(GLOSSARY.read_text())


def test_the_glossary_is_read_whole_and_in_order() -> None:
    lines = GLOSSARY.read_text().partition("## Glossary")[2].splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]
    names = [term for term, _, _ in terms()]
    assert len(names) == len(rows) > 40
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize(("term", "name", "file"), terms(), ids=[term for term, _, _ in terms()])
def test_each_term_names_code_that_is_in_the_file_it_links_to(term: str, name: str, file: str) -> None:
    thing = found(name)
    last = name.rpartition(".")[2]
    source = (GLOSSARY.parent / file).read_text()
    assert re.search(rf"\b(class|def) {last}\b|^{last}\b.*=|\"{last}\"", source, re.MULTILINE), (term, thing)


def test_a_term_without_code_is_found() -> None:
    with pytest.raises(AttributeError):
        found("chainrule.gradients.gradient_of")
    with pytest.raises(ModuleNotFoundError):
        found("nowhere.at_all")
