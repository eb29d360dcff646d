"""`chainrule doctor`: what is installed and what this machine is; and what a training step becomes on it."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Annotated

import typer

from chainrule.errors import ConfigurationError, EngineError

#: Extra -> the library to look for, and what it adds.
EXTRAS = {
    "plot": ("matplotlib", "the pictures that the examples write"),
    "sklearn": ("sklearn", "data sets and measures of scikit-learn, for examples and comparisons"),
    "tensorboard": ("tensorboardX", "event files for TensorBoard"),
}
_BASE = ("numpy", "safetensors", "typer", "rich", "tomli-w")
_THREADS = ("CHAINRULE_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def doctor(
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="DATA|RUN",
            show_default=False,
            help="Instead: the program that a training step on these data, or of this run, becomes.",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="With --plan: run some steps, and say which loops take the time.")
    ] = False,
    llvm: Annotated[
        str | None, typer.Option(metavar="KERNEL", help="With --plan: one kernel as LLVM, or all of them: all.")
    ] = None,
    assembly: Annotated[
        str | None, typer.Option(metavar="KERNEL", help="With --plan: the same as the processor's instructions.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="With --plan DATA, as for train; so are those below.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="simple_cnn, …, or a file.")] = None,
    hidden: Annotated[list[str] | None, typer.Option(metavar="N,N,…", help="Units of each hidden layer.")] = None,
    activation: Annotated[str | None, typer.Option(metavar="NAME", help="As for train.")] = None,
    optimizer: Annotated[str | None, typer.Option(metavar="NAME", help="sgd, adam, or another of train.")] = None,
    batch_size: Annotated[str | None, typer.Option(metavar="N", help="Samples a step, or all.")] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help="float32 or float64.")] = None,
) -> None:
    """Say what is installed here; or what a training step becomes.

    Versions, processor, engines, data folders, and for each extra that is not
    installed the command that installs it. The exit code is 1 if something that
    chainrule cannot do without is missing.

    With --plan: a training step is compiled, and its size, its memory and each
    of its loops are shown; or its times, or its code. Nothing is written.

    \b
    Examples:
      chainrule doctor
      chainrule doctor --plan digits
      chainrule doctor --plan runs/digits-1 --profile
      chainrule doctor --plan iris --hidden none --llvm all
      chainrule doctor --plan iris.csv --target species --dtype float64
    """
    shape = {
        "target": target, "ignore": ignore, "model": model, "hidden": hidden, "activation": activation,
        "optimizer": optimizer, "batch_size": batch_size, "dtype": dtype,
    }  # fmt: skip
    settings = {name: value for name, value in shape.items() if value is not None}
    views = {"--profile": profile or None, "--llvm": llvm, "--assembly": assembly}
    wanted = [name for name, value in views.items() if value is not None]
    if plan is None:
        for name in [*wanted, *(f"--{name.replace('_', '-')}" for name in settings)]:
            value = "" if name == "--profile" else " …"
            raise ConfigurationError(
                f"{name} is about a program, so name one: chainrule doctor --plan digits {name}{value}"
            )
        _tell_machine()
        return
    if len(wanted) > 1:
        raise ConfigurationError(f"{' and '.join(wanted)} are different views of a program; ask for one at a time")
    from chainrule.cli.plan import tell_code, tell_plan, tell_profile

    if profile:
        tell_profile(plan, settings)
    elif wanted:
        tell_code(plan, settings, llvm=llvm, assembly=assembly)
    else:
        tell_plan(plan, settings)


def _tell_machine() -> None:
    from chainrule import __version__
    from chainrule.cli.screen import say, say_entry

    say_entry("chainrule", f"{__version__}, in {Path(__file__).resolve().parents[1]}")
    say_entry("Python", f"{platform.python_version()}, {sys.executable}")
    found = {name: _version(name) for name in _BASE}
    say_entry("Needs", ", ".join(f"{name} {version or 'MISSING'}" for name, version in found.items()))
    say_entry("Machine", f"{platform.system()} {platform.machine()}, {_processor()}")
    say_entry("Threads", _threads())
    say()
    for name, words in _engines():
        say_entry("Engine", f"{name}: {words}")
    say()
    _tell_data()
    say()
    for extra, (library, purpose) in EXTRAS.items():
        there = util.find_spec(library) is not None
        words = "installed" if there else f"not installed. To add it: pip install 'chainrule[{extra}]'"
        say_entry("Extra", f"{extra}: {purpose}; {words}")
    if not all(found.values()):
        raise typer.Exit(1)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or "processor unknown"


def _threads() -> str:
    count = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    used = _cores()
    words = f"{usable} core{'s' if usable > 1 else ''} may be used" + (f" of {count}" if usable != count else "")
    words += f", {used} shared by a compiled step" if used else ""
    set_here = [f"{name}={os.environ[name]}" for name in _THREADS if os.environ.get(name)]
    return f"{words}; {', '.join(set_here)}" if set_here else f"{words}; NumPy's own choice of threads ({_blas()})"


def _cores() -> int:
    """The cores that the native engine shares its work between; none if it cannot be had."""
    from chainrule.engines.choose import choose

    try:
        return int(getattr(choose("native"), "cores", 0))
    except EngineError:
        return 0


def _blas() -> str:
    import numpy as np

    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}"
    except (KeyError, TypeError):
        return "its linear algebra is not named"


def _engines() -> list[tuple[str, str]]:
    """Each engine, and whether it computes: 1 + 1 is asked of it."""
    import numpy as np

    from chainrule import graph
    from chainrule.engines.choose import NAMES, choose
    from chainrule.errors import ChainruleError

    one = graph.input("one", ())
    asked = graph.Graph({"two": one + one})
    found = []
    for name in NAMES:
        try:
            answer = float(choose(name).compile(asked).run({"one": np.ones((), np.float32)})["two"])
            works = "works" if answer == 2 else f"is broken: 1 + 1 gave {answer:g}"
        except (ChainruleError, ImportError, OSError) as error:
            works = str(error)
        default = " (the default)" if name == choose().name else ""
        found.append((name + default, works))
    return found


def _tell_data() -> None:
    from chainrule.cli.screen import say_entry
    from chainrule.data import names
    from chainrule.data.sources import SOURCES, cache_folder, locate
    from chainrule.errors import DataError

    say_entry("Data", f"come along: {', '.join(name for name in names() if name not in SOURCES)}")
    for name in SOURCES:
        try:
            folder = locate(name)
        except DataError as error:
            say_entry("Data", str(error))
            return
        where = f"not here; `chainrule train {name}` downloads it into {cache_folder() / name}"
        say_entry("Data", f"{name}: {folder or where}")
