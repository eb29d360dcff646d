"""The program that a training step becomes, told to somebody who sees one for the first time; its code, its times."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.choices import told_optimizer
from chainrule.cli.running import command, open_run
from chainrule.cli.screen import say, say_entry
from chainrule.cli.sources import TABLES, ask_for_target, hold_out, is_image_folder, is_name, reopen
from chainrule.cli.training import Plan, untrained
from chainrule.errors import ConfigurationError, DataError, EngineError
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.data import Dataset, Stream
    from chainrule.engines.protocol import Engine
    from chainrule.run import Run

#: All of a program's code, in place of the name of a kernel.
ALL = "all"
_FILES = (*TABLES, ".npz")
_SECONDS = 0.5
_READING = (
    "“for 32 × 64” is a loop in a loop: what stands below is computed 32 · 64 times. After # stands the kernel, the "
    "function that holds the loop, and [the layer] that wanted it, “backward” for its gradients. A name such as t18 is "
    "a value that is kept for a later loop; all else stays in registers. A name with ' is what that state becomes. "
    "“shared along axis 0, 16 × 8” says that the cores divide 16 pieces of 8 along that axis; other loops are left to "
    "the first core."
)


def tell_plan(asked: str, settings: Mapping[str, Any]) -> None:
    """Write how large the program of a step is, and what each of its loops computes."""
    run, _ = _opened(asked, settings, profile=False)
    program = _program(run)
    _tell_size(run, program)
    say()
    say_entry("Loops", "In the order in which they run.", _READING)
    say()
    say(program.loops())
    names = program.plan.names
    kernel = next((name for name in names if name.startswith("contract")), names[-1])
    say()
    say(("Next", "bold"))
    say(f"  {command('doctor', '--plan', asked, '--profile')}")
    say(("      which loops take the time", "dim"))
    say(f"  {command('doctor', '--plan', asked, '--llvm', kernel)}")
    say(f"  {command('doctor', '--plan', asked, '--assembly', kernel)}")
    say(("      one kernel as it was written, and as the processor runs it; all shows the whole program", "dim"))


def tell_profile(asked: str, settings: Mapping[str, Any]) -> None:
    """Run steps for half a second, and write where the time went; nothing of what is learned is kept."""
    run, part = _opened(asked, settings, profile=True)
    assert part is not None
    program = _program(run)
    steps = len(run.history)
    start = time.perf_counter()
    run.fit(part, epochs=run.epoch + 10**6, callbacks=[_Enough()], progress=False)
    seconds, steps = time.perf_counter() - start, len(run.history) - steps
    rows = program.profile()
    _tell_size(run, program)
    if not any(row.share for row in rows):
        raise EngineError("this processor does not let programs count its cycles, so there is no profile to show")
    told = f"{steps:,} steps, {1e6 * seconds / steps:,.1f} µs each, {1e6 * program.seconds / program.runs:,.1f} of them"
    say_entry("Profile", f"{told} in the program. Shares and µs are those of one step.")
    say()
    say(rows.beside_peak())


def tell_code(asked: str, settings: Mapping[str, Any], *, llvm: str | None, assembly: str | None) -> None:
    """Write the LLVM or the assembly of one kernel or of the whole program, and nothing else."""
    run, _ = _opened(asked, settings, profile=False)
    program = _program(run)
    kernel = llvm or assembly or ALL
    names = program.plan.names
    if kernel != ALL and kernel not in names:
        from difflib import get_close_matches

        close = get_close_matches(kernel, names, n=1)
        near = f"did you mean {close[0]}? " if close else ""
        raise ConfigurationError(f"there is no kernel {kernel!r}: {near}there are {', '.join(names)}; and all")
    if llvm is not None:
        say(program.llvm("" if kernel == ALL else kernel))
    else:
        say(program.assembly() if kernel == ALL else assembly_of(program.assembly(), kernel))


def assembly_of(text: str, kernel: str) -> str:
    """The lines of one function: from its name to the label, or the name, of what comes after it.

    >>> print(assembly_of("a_1:\\n\\tret\\nb_2:\\n.LBB1_1:\\n\\tnop\\n.Lfunc_end1:\\n", "b_2"))
    b_2:
    .LBB1_1:
        nop
    """
    found = re.search(
        rf"^_?{re.escape(kernel)}:.*?(?=^\.?Lfunc_end|^_?[A-Za-z]\w*:|\Z)", text, re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise EngineError(f"the compiler has put {kernel} into the kernels that call it; `--assembly {ALL}` shows them")
    return found.group(0).rstrip().expandtabs(4)


class _Enough(Callback):
    """Stops after half a second, with one step done at least."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + _SECONDS

    def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
        """Look at the clock."""
        if time.perf_counter() > self._end:
            training.stop("that is enough")


def _opened(asked: str, settings: Mapping[str, Any], *, profile: bool) -> tuple[Run, Dataset | Stream | None]:
    """The run in a folder, or one that `chainrule train` would begin with; to profile it, with what it trains on."""
    from chainrule.engines.choose import choose

    engine = choose("native", profile=profile)
    folder = Path(asked)
    file = folder.suffix.lower() in _FILES and not folder.is_dir()
    if is_name(asked) or file or is_image_folder(asked):
        if folder.suffix.lower() in TABLES and "target" not in settings:
            ask_for_target(asked, "doctor", "--plan")
        run, (part, _, _) = untrained(asked, settings, Plan(), engine)
        return run, part
    if not folder.exists():
        from chainrule.data import names

        raise DataError(
            f"--plan {asked}: there is no such run folder, and data are {', '.join(names())}, or a file: "
            f"{', '.join(_FILES)}"
        )
    if settings:
        name = next(iter(settings)).replace("_", "-")
        raise ConfigurationError(f"{folder} is a run, whose network is what it is, so --{name} cannot be given with it")
    return _of_run(folder, engine, profile)


def _of_run(folder: Path, engine: Engine, profile: bool) -> tuple[Run, Dataset | Stream | None]:
    run = open_run(folder, engine)
    if not profile:
        return run, None
    train, _ = reopen(run, folder)
    return run, hold_out(train, Plan.read(run, folder).validation, run.seed)[0]


def _program(run: Run) -> Any:
    """The compiled step for a whole batch."""
    assert run.spec is not None
    return run.built(run.spec, min(run.batch_size, run.spec.samples))[1]


def _tell_size(run: Run, program: Any) -> None:
    assert run.spec is not None
    plan, engine = program.plan, run.engine
    size = min(run.batch_size, run.spec.samples)
    parameters = sum(array.size for array in run.parameters.values())
    state = sum(array.nbytes for array in run.arrays.values())
    step = f"{run.name}: {parameters:,} parameters, {told_optimizer(run.optimizer)}; batches of {size:,}, {run.dtype}"
    say_entry("Step", step)
    say_entry("Graph", f"{plan.nodes} nodes: take the batch, predict, measure the loss, go back, update")
    compiled: Any = getattr(engine, "compilations", None)
    when = ""
    if compiled:
        where = {"compiled": "compiled now", "on disk": "found compiled"}.get(compiled[0].source, compiled[0].source)
        when = f"; {where}, in {compiled[0].seconds:.2f} s"
    shared = "" if plan.kernels == plan.calls else "; equal loops share a kernel"
    say_entry("Program", f"{plan.calls} loops, by {plan.kernels} kernels{shared}{when}")
    used = f"{plan.stored:,} bytes of intermediate values in {plan.arena:,} bytes: each is used {plan.reuse:.1f} times"
    peak = f"At most {plan.peak:,} of them are needed at one time"
    more = f"Parameters, and what the optimizer remembers, are {state:,} bytes more, the data aside"
    say_entry("Memory", f"{used}. {peak}. {more}.")
