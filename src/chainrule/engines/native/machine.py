"""LLVM through llvmlite: processors, and from text to an object file and from there to running code."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from chainrule.engines.native.residency import give_back

give_back()  # of the pages that were read to load LLVM, few are needed again

#: Vectors of the widest registers, where the processor has them: LLVM would by itself stop at half of AVX-512's.
ATTRIBUTES = 'nounwind "prefer-vector-width"="512"'


@functools.cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@dataclass(frozen=True)
class Target:
    """A processor to write and compile for, as LLVM names it; without features it has those that go with its name."""

    triple: str
    cpu: str
    features: str = ""

    @functools.cached_property
    def vector_bytes(self) -> int:
        """The width of its vectors."""
        if self.features:
            has = set(self.features.split(","))
            return 64 if "+avx512f" in has else 32 if "+avx2" in has else 16
        # LLVM tells nobody what goes with a name, but which registers it takes can be seen.
        seen = str(self.machine().emit_assembly(llvm.parse_assembly(_PROBE)))
        return 64 if "zmm" in seen else 32 if "ymm" in seen else 16

    @property
    def runs_here(self) -> bool:
        """Whether this machine is of its kind, and has vectors as wide."""
        alike = self.triple.split("-")[0] == host().triple.split("-")[0]
        return alike and self.vector_bytes <= host().vector_bytes

    def machine(self) -> Any:
        """A target machine of LLVM's."""
        if self.triple == llvm.get_process_triple():
            _initialize()
        else:
            llvm.initialize_all_targets()
            llvm.initialize_all_asmprinters()
        found = llvm.Target.from_triple(self.triple)
        return found.create_target_machine(cpu=self.cpu, features=self.features, opt=3, reloc="pic", codemodel="small")


_PROBE = f"""
define void @probe(ptr %a) #0 {{
  %x = load <16 x float>, ptr %a, align 4
  %y = fadd <16 x float> %x, %x
  store <16 x float> %y, ptr %a, align 4
  ret void
}}
attributes #0 = {{ {ATTRIBUTES} }}
"""


@functools.cache
def host() -> Target:
    """This processor."""
    _initialize()
    return Target(llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


@functools.cache
def _named(cpu: str) -> Target:
    return Target(llvm.get_process_triple(), cpu)


def target(cpu: str = "") -> Target:
    """The processor of this name, or the one that ``CHAINRULE_CPU`` names ("haswell", "x86-64-v3"), or this one."""
    name = cpu or os.environ.get("CHAINRULE_CPU", "")
    return _named(name) if name else host()


def optimize(text: str, machine: Any) -> Any:
    """The text as an optimized module for a machine."""
    module = llvm.parse_assembly(text)
    module.verify()
    # The third level takes half as long again, and its programs are no faster.
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    # A pass manager serves one run: a second one aborts the process.
    builder.getModulePassManager().run(module, builder)
    return module


def compile_object(text: str, target: Target) -> bytes:
    """Text to an object file for a processor."""
    machine = target.machine()
    module = optimize(text, machine)
    give_back()  # of what is touched in order to optimize, little is needed in order to emit
    found = bytes(machine.emit_object(module))
    give_back()
    return found


def assembly(text: str, target: Target) -> str:
    """The assembly that a processor would run."""
    machine = target.machine()
    return str(machine.emit_assembly(optimize(text, machine)))


class Code:
    """An object file, loaded: functions by name. It stays loaded as long as this is alive."""

    def __init__(self, code: bytes) -> None:
        _initialize()
        # The engine owns its target machine, and wants a module to begin with. It is empty, and taken back, or else the
        # whole of LLVM's code generation would be fetched into memory for it.
        empty = llvm.parse_assembly("")
        self._engine = llvm.create_mcjit_compiler(empty, host().machine())
        self._engine.remove_module(empty)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins."""
        return int(self._engine.get_function_address(name))
