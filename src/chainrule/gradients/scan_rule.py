"""placeholder"""

from __future__ import annotations
from typing import Any
from chainrule.graph import Node


def pull_back_scan(
    scan: Node, readers: list[tuple[Node, Node]], wanted: list[bool], pull_back: Any
) -> list[Node | None]:
    raise NotImplementedError
