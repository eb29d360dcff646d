"""The native engine: a graph as one LLVM module, compiled for this processor, or found compiled."""

from __future__ import annotations

import functools
import time
import weakref
from dataclasses import dataclass

import llvmlite

from chainrule.engines.native import cache, team
from chainrule.engines.native.checking import VerifiedProgram, with_stored
from chainrule.engines.native.dividing import LAID_OUT_FOR, divided, feeds_of
from chainrule.engines.native.expressions import EMIT
from chainrule.engines.native.folds import unfold
from chainrule.engines.native.halving import in_halves
from chainrule.engines.native.kernels import LOOPS
from chainrule.engines.native.layouts import lay_out
from chainrule.engines.native.machine import Code, Target, compile_object, target
from chainrule.engines.native.module import write_module
from chainrule.engines.native.panels import in_panels
from chainrule.engines.native.program import NativeProgram
from chainrule.engines.native.sharing import reads_more_than_it_does
from chainrule.engines.native.steps import in_steps
from chainrule.engines.protocol import Engine, Program
from chainrule.errors import EngineError
from chainrule.graph import Graph, hoist, hoist_invariant, rewrite, topological

_KNOWN = {*EMIT, *LOOPS, "input", "param", "scan", "last", "stack"}
#: Programs of this process that are still in use, by name.
_loaded: weakref.WeakValueDictionary[str, Code] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Compilation:
    """A graph that was compiled: how long it took, where the code came from, and why it was not there already."""

    seconds: float
    source: str
    reason: str
    kernels: int


class NativeEngine:
    """Compiles graphs to native code through LLVM. ``compilations`` says what was compiled, and why.

    With ``profile``, programs add up the cycles of each loop; with ``verify``, every value that a program stores is
    compared with the reference engine's, and the first that differs is named. ``cpu`` names another processor than this
    one, to see its code or to run it where both know its instructions; so does the variable ``CHAINRULE_CPU``.

    ``cores`` is how many cores share the work: by default all that the process may use, or as many as the variable
    ``CHAINRULE_THREADS`` says; the results are the same bits with any number. With ``one_by_one``, one core does the
    parts of all, one after the other wherever they need not wait, "forwards" or "backwards": a wait that lacks is seen
    in one of the two. A graph with an op that is not known here is refused, or handed to the engine ``otherwise``.
    """

    name = "native"

    def __init__(
        self,
        *,
        profile: bool = False,
        verify: bool = False,
        cpu: str = "",
        cores: int = 0,
        one_by_one: str = "",
        otherwise: Engine | None = None,
    ) -> None:
        self.profile, self.verify, self.cpu, self.otherwise = profile, verify, cpu, otherwise
        self.cores, self.one_by_one = cores or team.cores(), one_by_one
        self.compilations: list[Compilation] = []
        self._signatures: list[dict[str, str]] = []

    def compile(self, graph: Graph) -> Program:
        """Fuse, plan memory, write LLVM, compile; `EngineError` for an op that is not known here."""
        lacking = sorted({node.op for node in topological(graph.outputs.values(), bodies=True)} - _KNOWN)
        if lacking:
            if self.otherwise is None:
                raise EngineError(f"the native engine lacks the ops {', '.join(lacking)}")
            self.compilations.append(
                Compilation(0.0, self.otherwise.name, f"ops of one's own: {', '.join(lacking)}", 0)
            )
            return self.otherwise.compile(graph)
        chosen = target(self.cpu)
        if not chosen.runs_here:
            raise EngineError(
                f"this processor cannot run code for {chosen.cpu}: its vectors are wider, or of another kind"
            )
        start = time.perf_counter()
        lowered = hoist(unfold(rewrite(unfold(graph, alone_only=True))), reads_more_than_it_does)
        lowered = in_halves(lowered)
        # What is verified is compared with the reference engine, node by node, and keeps its shapes.
        lowered, panels = (lowered, {}) if self.verify else in_panels(lowered)
        axes = divided([*lowered.outputs.values()], feeds_of(lowered), LAID_OUT_FOR)
        lowered = hoist_invariant(lay_out(in_steps(lowered, axes)))
        write = functools.partial(write_module, target=chosen, cores=self.cores, one_by_one=self.one_by_one)
        written = write(lowered, profile=self.profile)
        if self.verify:
            graph = with_stored(lowered, written.block.stored)
            written = write(graph)
        code, source = _code(written.text, chosen)
        resident = {id(node) for node in written.resident}
        signature = {
            name: f"{node.dtype}{['any', *node.shape[1:]] if id(node) in resident else list(node.shape)}"
            for name, node in written.inputs.items()
        }
        kernels = len(written.block.module.kernels)
        reason = self._reason(signature)
        self.compilations.append(Compilation(time.perf_counter() - start, source, reason, kernels))
        self._signatures.append(signature)
        return (VerifiedProgram if self.verify else NativeProgram)(graph, written, code, panels)

    def _reason(self, signature: dict[str, str]) -> str:
        """What is new about these inputs, compared with the graph before that was most like it."""
        alike = [known for known in self._signatures if set(known) == set(signature)]
        if not alike:
            return "a new graph"
        changes: list[list[str]] = [
            [f"{n}: {known[n]} -> {signature[n]}" for n in signature if known[n] != signature[n]] for known in alike
        ]
        least: list[str] = min(changes, key=len)
        return ", ".join(least) or "the same inputs, another graph"


def _code(text: str, chosen: Target) -> tuple[Code, str]:
    """The code of a module, and whence: this process has it already, or the disk, or it is compiled now."""
    name = cache.key(text, chosen.triple, chosen.cpu, chosen.features, llvmlite.__version__)
    found = _loaded.get(name)
    if found is not None:
        return found, "in this process"
    kept, source = cache.read(name), "on disk"
    if kept is None:
        kept, source = compile_object(text, chosen), "compiled"
        cache.write(name, kept)
    found = _loaded[name] = Code(kept)
    return found, source
