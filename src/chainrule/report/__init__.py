"""A run as one page of HTML that stands alone: how it went, how well it does, and all that it takes to do it again."""

from __future__ import annotations

from chainrule.report.page import write_report

__all__ = ["write_report"]
