"""The Chinese pages say what the English ones say: the same code, parts and links; one execution proves both.

A page of ``docs/zh-CN`` has its twin in ``docs`` at the same place. What is compared is what a change of the English
page cannot do without: a chapter that is mended on one side only is found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

DOCS = Path(__file__).resolve().parents[1] / "docs"
CHINESE = DOCS / "zh-CN"
OWN = [CHINESE / "README.md"]  # an index of its own, without a twin
READMES = [DOCS.parent / "README.md", DOCS.parent / "README.zh-CN.md"]
PAGES = sorted(CHINESE.rglob("*.md"))
TWINS = [page for page in PAGES if page not in OWN]
#: Pages under docs/ that are still to be said in Chinese, or said again after a change.
AWAITED: set[str] = set()
_FENCE = re.compile(r"^(<!-- not run -->\n+)?^( *)```.*?^ *```$", re.MULTILINE | re.DOTALL)
_FIGURE = re.compile(r"^<!-- figure: ([\w-]+) ", re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def english(page: Path) -> Path:
    """The page that this one says in Chinese."""
    return DOCS / page.relative_to(CHINESE)


def code(text: str) -> list[str]:
    """The fenced blocks of a page as they stand, each with the mark that it is not run."""
    return [found[0] for found in _FENCE.finditer(text)]


def without_comments(text: str) -> str:
    """A page whose code has lost its comments, which the README translates."""
    return re.sub(r" *# .*$", "", text, flags=re.MULTILINE)


def structure(text: str) -> list[str]:
    """The kinds of a page's parts, in order: headings by level, paragraphs, items, rows of tables, code."""
    return [f"{token.type} {token.tag}" for token in MarkdownIt("commonmark").enable("table").parse(text)]


def anchors(page: Path) -> list[str]:
    """The anchor of each heading, as GitHub and the site make it."""
    titles = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return [re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles]


def links(page: Path) -> list[tuple[str, int | str]]:
    """Where each link leads: the file, whichever its language, and the number of the heading, if it names one."""
    found: list[tuple[str, int | str]] = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            found.append((link, ""))
            continue
        path, _, anchor = link.partition("#")
        target = Path(os.path.normpath(page.parent / path)) if path else page
        place: int | str = ""
        if anchor and target.suffix == ".md":
            place = anchors(target).index(anchor) if anchor in anchors(target) else anchor
        elif anchor:
            place = anchor
        if target.is_relative_to(CHINESE):
            target = english(target)
        if target in READMES:
            target = READMES[0]
        found.append((os.path.relpath(target, DOCS), place))
    return found


def differences(page: Path, twin: Path) -> list[str]:
    """What a Chinese page and its English twin do not have in common."""
    ours, theirs = page.read_text(encoding="utf-8"), twin.read_text(encoding="utf-8")
    found = []
    if code(ours) != code(theirs):
        found.append("code")
    if structure(ours) != structure(theirs):
        found.append("structure")
    if _FIGURE.findall(ours) != _FIGURE.findall(theirs):
        found.append("figures")
    if sorted(map(str, links(page))) != sorted(map(str, links(twin))):
        found.append("links")
    return found


@pytest.mark.parametrize("page", TWINS, ids=lambda page: str(page.relative_to(CHINESE)))
def test_a_chinese_page_has_the_code_the_parts_and_the_links_of_its_twin(page: Path) -> None:
    name, found = str(page.relative_to(CHINESE)), differences(page, english(page))
    if name in AWAITED:
        assert found, "said again: the page is no longer awaited"
    else:
        assert found == [], f"change docs/zh-CN/{name} as docs/{name}, or put it on the list AWAITED"


def test_every_chapter_of_the_book_is_there_in_chinese() -> None:
    there = {f"book/{page.name}" for page in (CHINESE / "book").glob("*.md")}
    assert {f"book/{page.name}" for page in (DOCS / "book").glob("*.md")} - there <= AWAITED


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHINESE)))
def test_a_chinese_page_leads_to_the_chinese_page_where_there_is_one(page: Path) -> None:
    targets = {link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link}
    paths = {Path(os.path.normpath(page.parent / target)) for target in targets if target.endswith(".md")}
    pages = {path for path in paths if path.is_relative_to(DOCS) and not path.is_relative_to(CHINESE)}
    others = {path for path in pages if (CHINESE / path.relative_to(DOCS)).exists()}
    assert others <= ({DOCS / "README.md"} if page in OWN else set())


def test_the_readme_says_in_chinese_what_it_says_in_english() -> None:
    ours, theirs = (readme.read_text(encoding="utf-8") for readme in reversed(READMES))
    assert [without_comments(block) for block in code(ours)] == [without_comments(block) for block in code(theirs)]
    assert structure(ours) == structure(theirs)
    assert sorted(map(str, links(READMES[1]))) == sorted(map(str, links(READMES[0])))


# ---- how it is set -----------------------------------------------------------------------------------------------

_HAN = r"[\u4e00-\u9fff]"
_FAULTS = {
    "no space between Chinese and Latin": rf"{_HAN}[A-Za-z0-9`]|[A-Za-z0-9`%]{_HAN}",
    "punctuation of half width": rf"{_HAN}[,;:!?()]|[,;!?()]{_HAN}|{_HAN}\.(?!\w)|{_HAN} ?\"|\" ?{_HAN}",
    "a space after punctuation of full width": r"[，。；：！？、（）《》“”] +(?![|\n])",
    "a space before punctuation of full width": r"(?<=[^\s|-]) +[，。；：！？、（）《》]",
    "a line broken within a paragraph, which is shown as a space": rf"[\u3000-\u9fff）] *\n *(?:{_HAN}|（)",
    "two spaces": r"(?<=\S)  +(?=\S)",
}


def faults(text: str) -> Iterator[tuple[str, str]]:
    """Where prose breaks the conventions of Chinese typesetting, with the words around."""
    prose = re.sub(r"^ {4}.*$|^<!--.*$", "", _FENCE.sub("", text), flags=re.MULTILINE)
    prose = re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL)
    prose = re.sub(r"\]\([^)\s]+\)", "", prose)  # a link is its text
    prose = re.sub(r"`[^`\n]*`", "`", prose)  # what stands in code is code, but has its edges
    prose = re.sub(r"\$[^$\n]*\$", "x", prose)
    prose = prose.replace("**", "").replace("[", "")
    for name, pattern in _FAULTS.items():
        for found in re.finditer(pattern, prose):
            yield name, prose[max(0, found.start() - 12) : found.end() + 12]


def unrendered(text: str) -> list[str]:
    """Text in which marks of emphasis are still there after reading: they stand where Markdown does not take them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(re.sub(r"\$[^$\n]*\$", "x", text))
    inline = [child for token in tokens for child in token.children or []]
    return [child.content for child in inline if child.type == "text" and "*" in child.content]


@pytest.mark.parametrize("page", [*PAGES, READMES[1]], ids=lambda page: page.name)
def test_chinese_is_set_as_chinese_is_set(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert list(faults(text)) == []
    assert unrendered(text) == []


# ---- a page that is wrong is found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("a = 1", "a = 2", "code"),
        ("```python", "```pycon", "code"),
        ("## Two", "### Two", "structure"),
        ("## Two", "Two", "structure"),
        ("- an item", "an item", "structure"),
        ("| 3 | 4 |\n", "", "structure"),
        ("<!-- figure: one |", "<!-- figure: two |", "figures"),
        ("](more.md)", "](other.md)", "links"),
        ("](more.md#one)", "](more.md#two)", "links"),
        ("](more.md#one)", "](more.md)", "links"),
        ("[so](more.md)", "so", "links"),
    ],
)
def test_a_page_that_differs_from_its_twin_is_found(old: str, new: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "more.md").write_text("# One\n## Two\n")
    (tmp_path / "other.md").write_text("# One\n")
    twin, page = tmp_path / "twin.md", tmp_path / "page.md"
    twin.write_text(
        "# One\n\n```python\na = 1\n```\n\n## Two\n\n[so](more.md), [there](more.md#one)\n\n"
        "- an item\n\n| 1 | 2 |\n|---|---|\n| 3 | 4 |\n\n<!-- figure: one | One. -->\n\n"
        "<!-- not run -->\n```sh\n# not a heading\n```\n"
    )
    page.write_text(twin.read_text())
    assert differences(page, twin) == []
    page.write_text(twin.read_text().replace(old, new))
    assert differences(page, twin) == [found]


@pytest.mark.parametrize(
    "wrong",
    [
        "用Python写",
        "用 Python写",
        "写`a`",
        "好, 不好",
        "好(不好)",
        "好。 不好",
        "好 ，不好",
        '"好"',
        "[看这里](a.md)a",
        "好  不好",
    ],
)
def test_wrong_typesetting_is_found(wrong: str) -> None:
    assert list(faults(f"正文。\n\n{wrong}\n"))


def test_right_typesetting_and_code_are_let_be() -> None:
    prose = "用 `a,b` 写，见 [这里](a,b.md)（a）。\n\n    网=a, b\n\n"
    right = prose + "| 甲 | $\\frac{a}{b}$ | 2 倍 |\n\n1. 甲：\n   （乙）\n"
    assert list(faults(right)) == []
    assert unrendered("**甲**（a）乙，**丙。**\n") == []
    assert unrendered("**甲（a）**乙") != []
