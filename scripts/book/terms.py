"""The first use of a term in a chapter leads to the glossary: found when the site is built; pages stay plain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_ROW = re.compile(r'^\| <a id="([\w-]+)"></a>([^|]+) \|', re.MULTILINE)
#: Words that stand in plain sentences too: they are terms where they are set in bold.
EVERYDAY = frozenset(
    "attributes contract corner derivation diagnosis formula glorot he history kernel key labels model op origin path "
    "reference residual rule run scan seed share state step targets team unit update validation weights-a-file".split()
)


def words(glossary: str) -> dict[str, str]:
    """The words of a glossary, each with the name of its place there; what stands in brackets is left out.

    >>> words('| <a id="gradient-check"></a>gradient check | … |\\n| <a id="relu"></a>线性整流（ReLU） | … |')
    {'gradient check': 'gradient-check', '线性整流': 'relu'}
    """
    found = {}
    for anchor, term in _ROW.findall(glossary):
        for word in re.sub(r"[(（].*?[)）]", "", term).split("、"):
            found[word.strip()] = anchor
    return found


def pattern(terms: Iterable[str]) -> re.Pattern[str] | None:
    """Any of these words, the longest first; those of Latin letters whole, with an s or not, in either case."""

    def one(term: str) -> str:
        return rf"\b{re.escape(term)}s?\b" if term.isascii() else re.escape(term)

    each = [one(term) for term in sorted(terms, key=len, reverse=True)]
    return re.compile("|".join(each), re.IGNORECASE) if each else None


def split(text: str, places: Mapping[str, str], seen: set[str], bold: bool) -> list[tuple[str, str]]:
    """A text in pieces, each with the place in the glossary that it leads to, or ""; a place is led to once.

    >>> split("The loss, and Losses of a step.", {"loss": "loss", "step": "step"}, set(), bold=False)
    [('The ', ''), ('loss', 'loss'), (', and Losses of a step.', '')]
    >>> split("隐藏层", {"层": "layer"}, set(), bold=True), split("层", {"层": "layer"}, set(), bold=True)
    ([('隐藏层', '')], [('层', 'layer')])
    """
    whole = {word: at for word, at in places.items() if len(word) > 1 or word == text}  # 层 is no word in 隐藏层
    wanted = {word: at for word, at in whole.items() if bold or (at not in EVERYDAY and len(word) > 1)}
    words_here = pattern(wanted)
    pieces, end = [], 0
    for found in words_here.finditer(text) if words_here else ():
        word = found[0].casefold()
        place = next(at for term, at in wanted.items() if term.casefold() in (word, word.removesuffix("s")))
        if place not in seen:
            seen.add(place)
            pieces += [(text[end : found.start()], ""), (found[0], place)]
            end = found.end()
    return [piece for piece in [*pieces, (text[end:], "")] if piece[0]]


def glossary_of(page: str) -> str:
    """The glossary in the language of a page.

    >>> glossary_of("docs/zh-CN/book/01-a-neuron")
    'docs/zh-CN/glossary'
    """
    return "docs/zh-CN/glossary" if page.startswith("docs/zh-CN/") else "docs/glossary"


def set_up(app: Any) -> None:
    """In each chapter of the book, the first use of a term becomes a link."""
    from docutils import nodes

    def link(app: Any, doctree: Any, docname: str) -> None:
        glossary = glossary_of(docname)
        if "/book/" not in docname or glossary not in app.env.all_docs:
            return
        places, seen = words((ROOT / f"{glossary}.md").read_text(encoding="utf-8")), set[str]()
        uri = app.builder.get_relative_uri(docname, glossary)
        aside = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.caption)
        for text in list(doctree.findall(nodes.Text)):
            above, bold = text.parent, False
            while above is not None and not isinstance(above, aside):
                bold, above = bold or isinstance(above, nodes.strong), above.parent
            if above is not None:
                continue
            pieces = split(text.astext(), places, seen, bold)
            new = [
                nodes.reference("", piece, internal=True, refuri=f"{uri}#{place}", classes=["term"])
                if place
                else nodes.Text(piece)
                for piece, place in pieces
            ]
            text.parent.replace(text, new)

    app.connect("doctree-resolved", link)
