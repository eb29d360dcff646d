"""HTML out of elements. A text is escaped wherever it stands; only what an element made counts as markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

#: What no HTML may hold: control characters but line feeds and tabs, and halves of surrogate pairs.
_UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID = {"meta", "line", "rect", "circle", "path", "br", "img"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | float | None | Iterable["Child"]


def escaped(text: object) -> Markup:
    """A text as HTML shows it, whatever is in it.

    >>> escaped("<script>")
    '&lt;script&gt;'
    """
    return Markup(html.escape(_UNSPEAKABLE.sub("\ufffd", str(text)), quote=True))


def element(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element; ``class_`` and ``text_anchor`` are the attributes class and text-anchor, those that are None none.

    >>> element("p", "1 < 2", class_="told")
    '<p class="told">1 &lt; 2</p>'
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{told}>" if name in ("meta", "br", "img") else f"<{name}{told}/>")
    return Markup(f"<{name}{told}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Markup:
    """Children one behind the other, each escaped if it is text."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str | int | float):
            parts.append(escaped(child))
        elif child is not None:
            parts.append(joined(child))
    return Markup("".join(parts))
