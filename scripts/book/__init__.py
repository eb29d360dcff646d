"""The documentation as a site: what Sphinx is told beyond its own settings (docs/conf.py).

The pages are plain Markdown that reads well where no site is. What is added when the site is built has a module each:
a table of contents made of what an index page links to (`contents`), the figures that pages ask for (`figures`), pages
of highlighted code behind the links to source files (`code_pages`), the way to the other language (`languages`), links
from the first use of a term to the glossary (`terms`), and formulas as MathML (`mathematics`), which browsers draw
without a script.
"""

from __future__ import annotations

from typing import Any


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx calls when it loads this as an extension."""
    from scripts.book import code_pages, contents, figures, languages, mathematics, terms

    for part in (contents, figures, code_pages, languages, mathematics, terms):
        part.set_up(app)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
