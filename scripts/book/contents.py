"""The table of contents: an index page links to the pages of its part in the order in which they are read."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: The page on which the site begins comes first; each other index is among the links of it.
INDEXES = ("docs/README", "benchmarks/README", "docs/zh-CN/README")
_HEADING = re.compile(r"^## +(.+)$", re.MULTILINE)
_PAGE = re.compile(r"\]\(([^)#\s:]+)\.md\)")


def sections(index: str, text: str) -> list[tuple[str, list[str]]]:
    """Headings of an index page, each with the pages linked below it, as paths from the page's folder, each page once.

    A page that another index has among its own is left out.

    >>> sections("docs/README", "[a](a.md)\\n## The book\\n1. [b](book/b.md)\\n2. [a](a.md), [c](zh-CN/c.md)")
    [('', ['a']), ('The book', ['book/b'])]
    """
    parts = _HEADING.split(text)
    found, seen = [], {PurePosixPath(index).name}
    for caption, part in zip(["", *parts[1::2]], parts[::2], strict=True):
        pages = [
            page
            for page in dict.fromkeys(_PAGE.findall(part))
            if page not in seen and owner(resolved(index, page)) == index
        ]
        seen.update(pages)
        if pages:
            found.append((caption, pages))
    return found


def owner(page: str) -> str:
    """The index that a page belongs to.

    >>> [owner(page) for page in ("docs/guide/data", "docs/zh-CN/README", "README.zh-CN")]
    ['docs/README', 'docs/README', 'docs/zh-CN/README']
    """
    if page in INDEXES:
        return INDEXES[0]
    if page.startswith("benchmarks/"):
        return "benchmarks/README"
    return "docs/zh-CN/README" if page.startswith("docs/zh-CN/") or page.endswith(".zh-CN") else INDEXES[0]


def resolved(index: str, page: str) -> str:
    """A page that is named from an index page's folder, named from the repository's.

    >>> resolved("docs/zh-CN/README", "../../ARCHITECTURE")
    'ARCHITECTURE'
    """
    parts: list[str] = []
    for part in (PurePosixPath(index).parent / page).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def listed() -> list[str]:
    """Every page of the site, in the order of its table of contents."""
    pages = [INDEXES[0]]
    for index in INDEXES:
        path = ROOT / f"{index}.md"
        for _, below in sections(index, path.read_text(encoding="utf-8")) if path.exists() else ():
            pages += [resolved(index, page) for page in below]
    return pages


def with_contents(index: str, text: str) -> str:
    """An index page with its table of contents, for the side of the page."""
    for caption, pages in sections(index, text):
        named = f"\n:caption: {caption}" if caption else ""
        entries = "\n".join(f"/{resolved(index, page)}" for page in pages)
        text += f"\n```{{toctree}}\n:hidden:{named}\n\n{entries}\n```\n"
    return text


def set_up(app: Any) -> None:
    """Index pages are read with their tables of contents."""

    def read(app: Any, docname: str, source: list[str]) -> None:
        if docname in INDEXES:
            source[0] = with_contents(docname, source[0])

    app.connect("source-read", read)
