"""Documentation that points somewhere: every relative link has a target, every term of the glossary its code."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])
GLOSSARY = ROOT / "docs" / "glossary.md"
TWIN = ROOT / "docs" / "zh-CN" / "glossary.md"
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TERM = re.compile(
    r'^\| <a id="([\w-]+)"></a>([^|]+) \| [^|]+ \|(?: (\$[^|]+\$))? \| \[`(chainrule[\w.]*)`\]\(([^)]+)\) \|$',
    re.MULTILINE,
)


def broken_links(page: Path) -> list[str]:
    """Links to files that are not there, and to terms that the glossary does not have."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in _LINK.findall(text):
        file, _, anchor = link.partition("#")
        target = page.parent / file
        no_term = file.endswith("glossary.md") and anchor and f'<a id="{anchor}">' not in target.read_text("utf-8")
        if "://" not in link and file and (not target.exists() or no_term):
            broken.append(link if no_term else file)
    return broken


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
    (tmp_path / "glossary.md").write_text('<a id="bias"></a>bias')
    page.write_text(page.read_text() + "[e](glossary.md#bias) [f](glossary.md#bia)\n")
    assert broken_links(page) == ["nowhere.md", "glossary.md#bia"]


@dataclass(frozen=True)
class Term:
    """A row of a glossary."""

    anchor: str
    word: str
    formula: str
    code: str
    file: str


def terms(page: Path = GLOSSARY) -> list[Term]:
    return [Term(*row) for row in _TERM.findall(page.read_text(encoding="utf-8"))] if page.exists() else []


def rows(page: Path) -> list[str]:
    return [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]


def differences(page: Path) -> list[str]:
    """What a glossary in another language lacks, has too much, or tells in another way than the English one."""
    here, there = ({term.anchor: (term.formula, term.code) for term in terms(each)} for each in (GLOSSARY, page))
    return sorted(anchor for anchor in here.keys() | there.keys() if here.get(anchor) != there.get(anchor))


def test_the_glossary_is_read_whole_and_in_order() -> None:
    words = [term.word for term in terms()]
    assert len(words) == len(rows(GLOSSARY)) > 80
    assert words == sorted(words, key=str.casefold)
    assert all(term.anchor == re.sub(r"[^a-z0-9]+", "-", term.word.casefold()).strip("-") for term in terms())
    assert sum(bool(term.formula) for term in terms()) > 40


@pytest.mark.skipif(not TWIN.exists(), reason="the glossary is not translated")
def test_the_chinese_glossary_has_the_same_terms_with_the_same_formulas_and_code() -> None:
    assert len(terms(TWIN)) == len(rows(TWIN))
    assert differences(TWIN) == []


@pytest.mark.tiny
def test_a_glossary_that_differs_is_found(tmp_path: Path) -> None:
    kept = [line for line in GLOSSARY.read_text().splitlines() if 'id="bias"' not in line]
    page = tmp_path / "glossary.md"
    page.write_text("\n".join(kept).replace(r"$\max(0, x)$", r"$\max(1, x)$"))
    assert differences(page) == ["bias", "relu"]


@pytest.mark.parametrize("term", [*terms(), *terms(TWIN)], ids=lambda term: f"{term.anchor}-{term.word}")
def test_each_term_names_code_that_is_in_the_file_it_links_to(term: Term) -> None:
    thing = found(term.code)
    last = term.code.rpartition(".")[2]
    source = (GLOSSARY.parent / term.file.replace("../../", "../")).read_text()
    assert re.search(rf"\b(class|def) {last}\b|^{last}\b.*=|\"{last}\"", source, re.MULTILINE), (term.word, thing)


def test_a_term_without_code_is_found() -> None:
    with pytest.raises(AttributeError):
        found("chainrule.gradients.gradient_of")
    with pytest.raises(ModuleNotFoundError):
        found("nowhere.at_all")
