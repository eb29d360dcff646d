"""Links to files of the repository: each file that a page links to becomes a page of highlighted code.

On a page of Markdown, ``[`Node.calc_output`](../../src/chainrule/neurons.py)`` is a link to a file. On the site it goes
to the line of that page of code where the name is defined. A folder becomes a list of its files with the first sentence
of each.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "code"


def page_of(target: str) -> str:
    """The page for a file or a folder of the repository.

    >>> page_of("src/chainrule/neurons.py"), page_of("examples")
    ('code/src/chainrule/neurons.py', 'code/examples/index')
    """
    return f"{FOLDER}/{target}/index" if (ROOT / target).is_dir() else f"{FOLDER}/{target}"


def line_of(source: str, name: str) -> int | None:
    """The line, from 1, where a dotted name is defined: the last part of it, after the part before it if that is there.

    >>> line_of("class A:\\n    def go(self): ...\\nclass B:\\n    def go(self): ...\\n", "B.go")
    4
    """
    if not re.fullmatch(r"[\w.]+(\(\))?", name):  # the text of a link that names nothing, such as a sentence
        return None
    start, line = 0, None
    for part in name.removesuffix("()").split("."):
        defined = re.compile(rf'^ *(?:class|(?:async )?def) {part}\b|^{part}\b *[:=]|^ *"{part}":', re.MULTILINE)
        found = defined.search(source, start)
        if found:
            start, line = found.end(), source.count("\n", 0, found.start()) + 1
    return line


def code_page(path: Path) -> str:
    """A file, highlighted, with an anchor a line."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename
    from pygments.lexers.special import TextLexer
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    source = path.read_text(encoding="utf-8")
    return str(highlight(source, lexer, HtmlFormatter(linenos="inline", lineanchors="line", anchorlinenos=True)))


def files_of(folder: Path) -> list[Path]:
    """The files of a folder that are shown."""
    return sorted(each for each in folder.iterdir() if each.suffix in (".py", ".md", ".sh"))


def folder_page(folder: Path) -> str:
    """The files of a folder, each with its first sentence if it is Python."""
    rows = []
    for path in files_of(folder):
        first = re.match(r'"""(.+)', path.read_text(encoding="utf-8")) if path.suffix == ".py" else None
        told = html.escape(first[1].rstrip('"')) if first else ""
        rows.append(f'<li><a href="{path.name}.html">{html.escape(path.name)}</a> {told}</li>')
    return f"<ul>{''.join(rows)}</ul>"


def with_breaks(body: str) -> str:
    """HTML in which a long dotted name may be broken behind its dots, as it has to be in the cells of a table.

    >>> with_breaks('<span class="pre">a.b</span> c.d')
    '<span class="pre">a.<wbr>b</span> c.d'
    """
    name = re.compile(r'(?<=<span class="pre">)[\w.]+(?=</span>)')
    return name.sub(lambda found: found[0].replace(".", ".<wbr>"), body)


def set_up(app: Any) -> None:
    """Links to files and folders that are no pages go to pages of code."""
    from docutils import nodes
    from sphinx import addnodes

    linked: set[str] = set()

    def targets(env: Any, node: Any) -> str | None:
        target = node.get("reftarget", "").partition("#")[0]
        if not target or node.get("reftype") != "myst" or node.get("refdomain"):
            return None
        path = Path(env.relfn2path(target, node["refdoc"])[1]).resolve()
        return path.relative_to(ROOT).as_posix() if path.exists() and path.is_relative_to(ROOT) else None

    def gather(app: Any, doctree: Any) -> None:
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for node in list(doctree.findall(kind)):
                if (target := targets(app.env, node)) is not None:
                    path = ROOT / target
                    line = line_of(path.read_text(encoding="utf-8"), node.astext()) if path.suffix == ".py" else None
                    reference = nodes.reference("", "", *node.children, internal=True, code_page=page_of(target))
                    reference["code_line"] = line
                    reference["refuri"] = ""
                    node.replace_self(reference)
                    linked.add(target)
                    if path.is_dir():
                        linked.update(each.relative_to(ROOT).as_posix() for each in files_of(path))

    def resolve(app: Any, doctree: Any, docname: str) -> None:
        for node in doctree.findall(nodes.reference):
            if "code_page" in node:
                uri = app.builder.get_relative_uri(docname, node["code_page"])
                node["refuri"] = f"{uri}#line-{node['code_line']}" if node["code_line"] else uri

    def pages(app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
        for target in sorted(linked):
            path = ROOT / target
            body = folder_page(path) if path.is_dir() else code_page(path)
            title = html.escape(target)
            yield page_of(target), {"title": title, "body": f"<h1>{title}</h1>{body}"}, "page.html"

    def breaking(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        if "body" in context:
            context["body"] = with_breaks(context["body"])

    app.connect("html-page-context", breaking)
    app.connect("doctree-read", gather, priority=100)  # before Sphinx would copy the files
    app.connect("doctree-resolved", resolve)
    app.connect("html-collect-pages", pages)
