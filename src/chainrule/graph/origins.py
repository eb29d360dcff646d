"""Where nodes came from: kept beside the graph, for one build, in strings and indices, never in the nodes.

Equal nodes are one node, also across models; so a node cannot know its layer. A `Build` remembers, for the nodes
met while it was open, the layer path, the phase (forward, backward, update) and, for a node of the backward pass, the
serial number of the forward node it belongs to. Composite regions (output -> name, inputs) are kept likewise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.graph.node import Node


@dataclass(frozen=True)
class Origin:
    """Where one node of one build came from: its number there, its layer path, its phase, the node it belongs to."""

    serial: int
    path: str = ""
    phase: str = "forward"
    of: int = -1

    def __str__(self) -> str:
        place = self.path or "the graph"
        return place if self.phase == "forward" else f"{place} ({self.phase})"


@dataclass(frozen=True)
class Region:
    """A composite that kept its name: an engine or a writer may take it whole, or take its body."""

    name: str
    inputs: tuple[Node, ...]
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass
class Build:
    """The record of one building of a graph; open it with ``with Build() as build:``.

    >>> from chainrule import graph
    >>> with Build() as build, scope("0"):
    ...     x = graph.exp(graph.input("x", (2,)))
    >>> str(build.origins[x])
    '0'
    """

    origins: dict[Node, Origin] = field(default_factory=dict)
    regions: dict[Node, Region] = field(default_factory=dict)
    #: While a pass remakes a node, what it makes inherits the origin of that node.
    inherit: Origin | None = None
    _tokens: list[Token[Build | None]] = field(default_factory=list, repr=False)

    def note(self, node: Node) -> None:
        """Remember a node that has just been met, unless it was met before."""
        if node not in self.origins:
            self.origins[node] = self.inherit or replace(_place.get(), serial=len(self.origins))

    @contextlib.contextmanager
    def inheriting(self, origin: Origin | None) -> Iterator[None]:
        """Nodes met inside take this origin."""
        before, self.inherit = self.inherit, origin
        try:
            yield
        finally:
            self.inherit = before

    def __enter__(self) -> Build:
        self._tokens.append(_active.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _active.reset(self._tokens.pop())


_active: ContextVar[Build | None] = ContextVar("chainrule_build", default=None)
_place: ContextVar[Origin] = ContextVar("chainrule_place", default=Origin(-1))


def active_build() -> Build | None:
    """The build that is open, if there is one."""
    return _active.get()


def place() -> Origin:
    """The layer path and phase in which nodes are being made now."""
    return _place.get()


@contextlib.contextmanager
def scope(path: str | int, *, absolute: bool = False) -> Iterator[None]:
    """Nodes made inside belong to the place ``path`` below the present one (or, ``absolute``, to that place)."""
    here = _place.get()
    token = _place.set(replace(here, path=f"{here.path}.{path}" if here.path and not absolute else str(path)))
    try:
        yield
    finally:
        _place.reset(token)


@contextlib.contextmanager
def phase(name: str, of: Node | None = None) -> Iterator[None]:
    """Nodes made inside belong to a phase, and, in the backward pass, to the forward node ``of``."""
    build, here = _active.get(), _place.get()
    forward = build.origins.get(of) if build is not None and of is not None else None
    path = forward.path if forward is not None else here.path
    token = _place.set(Origin(-1, path, name, -1 if forward is None else forward.serial))
    try:
        yield
    finally:
        _place.reset(token)
