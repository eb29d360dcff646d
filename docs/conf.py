"""The settings of Sphinx for the site. `make site` builds it; what is added to Sphinx is in scripts/book."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for scripts.book

project = "chainrule"
author = "the chainrule authors"
copyright = author
language = "en"

# The pages lie where they are read without a site: the root of the repository is the root of the site.
root_doc = "docs/README"
include_patterns = [
    "docs/**.md", "README*.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/*.md",
]  # fmt: skip
exclude_patterns = ["build", "dist", ".*", "**/.*", "**/__pycache__", "src", "tests"]

extensions = ["myst_parser", "scripts.book"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"
highlight_language = "text"

html_theme = "furo"
html_title = "chainrule"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_additional_pages = {"index": "start.html"}
templates_path = ["site/templates"]

# Only pages of the network: links between pages are checked by Sphinx as it reads them, links to code by the tests.
linkcheck_timeout = 10
linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost)"]
