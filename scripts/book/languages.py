"""The way from a page to its twin in the other language."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

CHINESE = "docs/zh-CN/"


def language_of(page: str) -> str:
    """The language that a page is written in, as HTML names it.

    >>> language_of("docs/zh-CN/book/01-a-neuron"), language_of("README")
    ('zh-CN', 'en')
    """
    return "zh-CN" if page.startswith(CHINESE) or page.endswith(".zh-CN") else "en"


def twin(page: str, pages: Container[str]) -> str | None:
    """The same page in the other language, or where that language begins; None if there is neither.

    >>> pages = {"docs/README", "docs/a", "docs/b", "docs/zh-CN/README", "docs/zh-CN/a"}
    >>> [twin(page, pages) for page in ("docs/a", "docs/zh-CN/a", "docs/b", "CHANGELOG")]
    ['docs/zh-CN/a', 'docs/a', 'docs/zh-CN/README', 'docs/zh-CN/README']
    """
    if page.endswith(".zh-CN"):
        wanted, other = page.removesuffix(".zh-CN"), "docs/README"
    elif page.startswith(CHINESE):
        wanted, other = "docs/" + page.removeprefix(CHINESE), "docs/README"
    else:
        other = CHINESE + "README"
        wanted = CHINESE + page.removeprefix("docs/") if page.startswith("docs/") else f"{page}.zh-CN"
    return next((each for each in (wanted, other) if each in pages), None)


def own_part_first(tree: str) -> str:
    """The parts of a table of contents with the last one, which is the other language's, in the first place.

    >>> own_part_first('<div><p class="caption">A</p>a<p class="caption">B</p>b<p class="caption">中文</p>c</div>')
    '<div><p class="caption">中文</p>c<p class="caption">A</p>a<p class="caption">B</p>b</div>'
    """
    mark = '<p class="caption"'
    before, *parts = tree.removesuffix("</div>").split(mark)
    end = "</div>" if tree.endswith("</div>") else ""
    return before + "".join(mark + part for part in [*parts[-1:], *parts[:-1]]) + end


def set_up(app: Any) -> None:
    """Each page says its language, links to the other, and has its own first in the table of contents."""

    def add(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        context["language"] = language_of(page)
        if language_of(page) != "en" and "furo_navigation_tree" in context:
            context["furo_navigation_tree"] = own_part_first(context["furo_navigation_tree"])
        other = twin(page, app.env.all_docs)
        if other is not None and "body" in context:
            word, code = ("English", "en") if language_of(other) == "en" else ("中文", "zh-CN")
            link = f'<a href="{app.builder.get_relative_uri(page, other)}" lang="{code}" hreflang="{code}">{word}</a>'
            context["body"] = f'<p class="other-language">{link}</p>\n{context["body"]}'

    app.connect("html-page-context", add, priority=900)  # behind the theme, which makes the table of contents
