"""Who is measured: a file a library, and a row here for each way it is run."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.speed.network import Convolution, Layer
from benchmarks.speed.workload import Array, Given, Workload


class Runner(Protocol):
    """A network in training: its state goes on from call to call."""

    def order(self, indices: Array) -> Any:
        """Indices, (steps, batch), as this peer takes them; not timed."""

    def run(self, order: Any) -> Any:
        """All of these steps, until the last is done; gives their losses."""


@dataclass(frozen=True)
class Peer:
    """One way to run a library; ``rated`` peers count for the ratio, the others are there for the record, once."""

    key: str
    title: str
    family: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rated: bool = True
    #: Only where one of these layers occurs: elsewhere it is the same as another way.
    layers: tuple[type[Layer], ...] = ()

    def differs(self, workload: Workload) -> bool:
        """Whether this way is one of its own for a workload."""
        return not self.layers or any(isinstance(layer, self.layers) for layer, _ in workload.layers)

    @property
    def module(self) -> Any:
        """The library's file, imported when it is asked for."""
        return importlib.import_module(f"benchmarks.speed.peers.{self.family}_peer")

    def runner(self, given: Given) -> Runner:
        """A network in training, by this peer."""
        found: Runner = self.module.Runner(given, **self.options)
        return found

    def refuses(self, workload: Workload) -> str:
        """Why this peer cannot do a workload, or nothing."""
        refuses = getattr(self.module, "refuses", None)
        return refuses(workload, **self.options) if refuses else ""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peers() -> dict[str, Peer]:
    """All of them by key, chainrule first."""
    count = cores()
    listed = [
        Peer("chainrule", "chainrule", "chainrule"),
        Peer("torch-1", "PyTorch, 1 thread", "pytorch", {"threads": 1}),
        Peer(f"torch-{count}", f"PyTorch, {count} threads", "pytorch", {"threads": count}),
        Peer(
            f"torch-last-{count}",
            f"PyTorch, channels last, {count} threads",
            "pytorch",
            {"threads": count, "channels_last": True},
            layers=(Convolution,),
        ),
        Peer("torch-compile-1", "torch.compile, 1 thread", "pytorch", {"threads": 1, "compiled": True}),
        Peer(
            f"torch-compile-{count}", f"torch.compile, {count} threads", "pytorch", {"threads": count, "compiled": True}
        ),
        Peer(
            f"torch-compile-last-{count}",
            f"torch.compile, channels last, {count} threads",
            "pytorch",
            {"threads": count, "compiled": True, "channels_last": True},
            layers=(Convolution,),
        ),
        Peer("jax", "JAX, a step a call", "jax"),
        Peer("jax-scan", "JAX, many steps by scan", "jax", {"scan": True}, rated=False),
        Peer("sklearn-1", "scikit-learn, 1 thread", "scikit_learn", {"threads": 1}),
        Peer(f"sklearn-{count}", f"scikit-learn, {count} threads", "scikit_learn", {"threads": count}),
        Peer("keras", "Keras on JAX", "keras", rated=False),
    ]
    return {peer.key: peer for peer in listed}


def chosen(words: str) -> dict[str, Peer]:
    """chainrule, and the peers that begin with any of these words ("torch,jax"); all for an empty text."""
    wanted = [word.strip().lower() for word in words.split(",") if word.strip()]
    everyone = peers()
    for word in wanted:
        if not any(key.startswith(word) for key in everyone):
            raise SystemExit(f"there is no peer {word!r}; there are {', '.join(everyone)}")
    return {
        key: peer
        for key, peer in everyone.items()
        if not wanted or key == "chainrule" or any(key.startswith(word) for word in wanted)
    }
