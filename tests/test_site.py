"""The documentation as a site, as far as it can be tested without Sphinx; `make site` builds it, warnings as errors."""

from __future__ import annotations

import doctest
import fnmatch
import re
import runpy
import sys
from pathlib import Path

import pytest

from scripts.book import code_pages, contents, figures, languages, links, terms

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    before = list(sys.path)
    try:
        return runpy.run_path(str(ROOT / "docs" / "conf.py"))
    finally:
        sys.path[:] = before


@pytest.fixture(scope="module")
def pages(settings: dict[str, object]) -> dict[str, str]:
    """Every page that the settings take into the site, with its text."""
    patterns = settings["include_patterns"]
    assert isinstance(patterns, list)
    names = [
        path.relative_to(ROOT).as_posix() for folder in (".", "benchmarks") for path in (ROOT / folder).glob("*.md")
    ]
    names += [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    taken = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    return {name.removesuffix(".md"): (ROOT / name).read_text(encoding="utf-8") for name in taken}


@pytest.mark.parametrize("module", [contents, languages, figures, code_pages, terms], ids=lambda each: each.__name__)
def test_the_examples_of_the_modules_hold(module: object) -> None:
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


def test_the_settings_name_what_is_there(settings: dict[str, object]) -> None:
    folder = ROOT / "docs"
    assert (ROOT / f"{settings['root_doc']}.md").exists()
    for named in ("html_static_path", "templates_path"):
        paths = settings[named]
        assert isinstance(paths, list)
        assert all((folder / path).is_dir() for path in paths)
    assert (folder / "site" / "static" / "site.css").exists()
    assert (folder / "site" / "templates" / "start.html").exists()
    assert settings["html_math_renderer"] == "mathml"  # and not MathJax, which would come over the network


def test_every_page_is_in_the_table_of_contents_once(pages: dict[str, str]) -> None:
    listed = contents.listed()
    assert sorted(listed) == sorted(pages)
    assert listed[0] == "docs/README"
    assert len(listed) > 30


def test_chapters_stand_in_their_order() -> None:
    for folder in ("docs/book/", "docs/zh-CN/book/"):
        chapters = [page for page in contents.listed() if page.startswith(folder)]
        assert chapters == sorted(chapters)


def test_a_page_that_no_index_names_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "docs" / "README.md"
    index.parent.mkdir()
    whole = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    index.write_text(whole.replace("(guide/data.md)", "(guide/models.md)"), encoding="utf-8")
    complete = contents.listed()
    monkeypatch.setattr(contents, "ROOT", tmp_path)
    assert "docs/guide/data" in set(complete) - set(contents.listed())


def test_every_page_leads_to_the_other_language(pages: dict[str, str]) -> None:
    for page in pages:
        twin = languages.twin(page, pages)
        assert twin is not None
        assert languages.language_of(twin) != languages.language_of(page)


def test_figures_are_made_by_programs_that_are_there_and_each_has_a_place(pages: dict[str, str]) -> None:
    asked = {name for text in pages.values() for name in figures.named(text)}
    assert asked == set(figures.FIGURES)
    for name, figure in figures.FIGURES.items():
        text = (ROOT / "examples" / f"{figure.example}.py").read_text(encoding="utf-8")
        assert "save_picture" in text or ".plot(options.picture)" in text
        assert "{" not in "".join(figure.command(name))


def test_a_figure_is_drawn_with_the_command_that_makes_it() -> None:
    text = figures.with_figures("Text.\n\n<!-- figure: vanishing | By layer. -->\n\nMore.")
    assert "```{figure} /build/figures/vanishing.png" in text
    assert "By layer. `python examples/vanishing.py --epochs 2 --picture build/figures/vanishing.png`" in text
    assert text.startswith("Text.\n")
    assert text.endswith("\nMore.")
    with pytest.raises(KeyError, match="no-such"):
        figures.with_figures("<!-- figure: no-such | Nothing. -->")


def test_a_comment_that_is_nearly_a_figure_is_found(pages: dict[str, str]) -> None:
    for page, text in pages.items():
        assert len(re.findall(r"(?m)^\s*<!-- *figure", text)) == len(figures.named(text)), page


def test_a_named_link_leads_to_the_line_of_its_definition() -> None:
    source = (ROOT / "src" / "chainrule" / "neurons.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    for name in ("Node.calc_output", "Connection", "ACTIVATIONS", "Network.calc_delta"):
        line = code_pages.line_of(source, name)
        assert line is not None
        assert name.rpartition(".")[2] in lines[line - 1]
    assert code_pages.line_of(source, "no_such_name") is None
    assert code_pages.line_of(source, "Node (of a layer") is None


def test_every_link_to_code_whatever_its_text_finds_its_page(pages: dict[str, str]) -> None:
    count = 0
    for page, text in pages.items():
        for words, file in re.findall(r"\[([^\]\n]+)\]\(([^)#\s:]+\.py)\)", text):
            source = ((ROOT / page).parent / file).resolve()
            line = code_pages.line_of(source.read_text(encoding="utf-8"), words.strip("`"))
            assert line is None or line > 0
            count += line is not None
    assert count > 200


def test_terms_are_found_in_both_languages(pages: dict[str, str]) -> None:
    words = terms.words(pages["docs/glossary"])
    assert len(words) == len(set(words.values())) > 80
    assert set(words.values()) >= terms.EVERYDAY
    seen: set[str] = set()
    pieces = terms.split("A step of gradient descent. Gradient descent takes a gradient.", words, seen, bold=False)
    assert [place for _, place in pieces if place] == ["gradient-descent", "gradient"]
    assert terms.split("The chain.", words, set(), bold=False) == [("The chain.", "")]
    assert terms.split("一个权重和偏置", {"权重": "weight", "偏置": "bias"}, set(), bold=False)[1] == ("权重", "weight")


def test_a_link_of_the_built_site_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">1</a> <a href="b.html#there">2</a> <a href="c.html">3</a> <a href="#top">4</a>'
        ' <img src="d.png"> <a href="https://example.org/x">5</a> <a href="b.html">6</a> <a name="top"></a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="here">B</h1><a href="a.html#top">1</a>')
    assert links.broken(tmp_path) == ["a.html: b.html#there", "a.html: c.html", "a.html: d.png"]
