"""Formulas as MathML, by docutils: browsers draw them themselves, with no script and no network."""

from __future__ import annotations

from typing import Any


def set_up(app: Any) -> None:
    """Formulas are written as MathML where ``html_math_renderer`` is "mathml"; one that cannot be read is a warning."""
    from docutils import nodes
    from docutils.utils.math import MathError
    from docutils.utils.math.latex2mathml import tex2mathml
    from sphinx.util import logging

    logger = logging.getLogger(__name__)

    def write(translator: Any, node: Any) -> None:
        block = isinstance(node, nodes.math_block)
        try:
            formula = tex2mathml(node.astext(), as_block=block)
        except MathError as error:
            logger.warning("a formula that cannot be read, %s: %s", node.astext(), error, location=node)
            formula = translator.encode(node.astext())
        translator.body.append(f'<div class="math">{formula}</div>' if block else formula)
        raise nodes.SkipNode

    app.add_html_math_renderer("mathml", inline_renderers=(write, None), block_renderers=(write, None))
