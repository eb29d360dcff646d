"""`chainrule doctor --plan`: the program of a step, its times and its code; and the engines by name."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from chainrule.cli import plan as module
from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from tests.cli.calling import Command, flowers

PLAN = ("doctor", "--plan")


@pytest.fixture
def run(command: Command) -> Path:
    flowers(Path("flowers.csv"))
    command.works("train", "flowers.csv", "--target", "kind", "--epochs", "2", "--hidden", "5")
    return Path("runs/flowers-1")


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_plan_says_how_large_the_program_is_and_what_each_loop_computes(command: Command) -> None:
    output = command.works(*PLAN, "iris", "--hidden", "7", "--activation", "tanh")
    found = cr.prepare(cr.Chain(cr.Dense(7, cr.tanh), cr.Dense(3)), cr.data.load("iris")[0], engine="native")
    program: Any = found.built(found.spec, 32)[1]  # type: ignore[arg-type]
    size = program.plan
    words = one_line(output)
    assert f"{size.nodes} nodes" in words
    assert f"{size.calls} loops, by {size.kernels} kernels" in words
    assert f"{size.stored:,} bytes of intermediate values in {size.arena:,} bytes" in words
    assert 0 < size.peak <= size.arena < size.stored
    assert "59 parameters" in words
    assert program.loops() in output
    assert len([line for line in output.splitlines() if line.startswith("for ")]) == size.calls
    assert not Path("runs").exists()


def test_the_plan_of_a_run_is_that_of_its_network(command: Command, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for view in ((), ("--profile",)):
        output = command.works(*PLAN, run, *view)
        assert "parameters/0.weight'" in output or view
        assert "flowers: 37 parameters, gradient descent" in one_line(output)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_profile_shares_out_the_whole_time(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.02)
    output = command.works(*PLAN, "digits", "--profile", "--dtype", "float64")
    shares = [float(found) for found in re.findall(r"^ *(\d+\.\d)% ", output, re.MULTILINE)]
    assert abs(sum(shares) - 100) < 2
    parts = [int(found) for found in re.findall(r"\((\d+)% of the peak\)", output)]
    assert 5 < len(parts) <= 20
    assert 1 < max(parts) < 130  # what was measured as the peak is one; another process may have been in its way
    assert int(re.findall(r"([\d,]+) steps", output)[0].replace(",", "")) > 1


def test_code_alone_is_written_and_of_the_kernel_that_was_named(command: Command) -> None:
    loops = command.works(*PLAN, "iris", "--hidden", "none")
    kernel = re.findall(r"# (contract_\d+)", loops)[0]
    llvm = command.works(*PLAN, "iris", "--hidden", "none", "--llvm", kernel)
    assert llvm.startswith(f"define internal void @{kernel}(")
    assert llvm.count("define ") == 1
    whole = command.works(*PLAN, "iris", "--hidden", "none", "--llvm", "all")
    assert llvm in whole
    assembly = command.works(*PLAN, "iris", "--hidden", "none", "--assembly", kernel)
    assert assembly.splitlines()[0].strip("_:") == kernel
    assert [line for line in assembly.splitlines() if re.match(r"\w+:", line)] == [f"{kernel}:"]
    assert "ret" in assembly.splitlines()[-1]
    assert len(command.works(*PLAN, "iris", "--hidden", "none", "--assembly", "all")) > 3 * len(assembly)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("doctor --profile", "chainrule doctor --plan digits --profile\n"),
        ("doctor --llvm all", "chainrule doctor --plan digits --llvm …"),
        ("doctor --batch-size 3", "--batch-size is about a program"),
        ("doctor --plan", "requires an argument"),
        ("doctor --plan nowhere", "no such run folder, and data are digits, iris"),
        ("doctor --plan nowhere.csv", "nowhere.csv: no such file"),
        ("doctor --plan iris.csv", "doctor --plan iris.csv --target species"),
        ("doctor --plan .", "is not a run: it has no run.toml"),
        ("doctor --plan letter.txt", "letter.txt is a file; a run is a folder"),
        ("doctor --plan iris --hidden x", "is not a number of units"),
        ("doctor --plan iris --batch-size 0", "neither a whole number above 0 nor all"),
        ("doctor --plan iris --profile --llvm all", "--profile and --llvm are different views"),
        ("doctor --plan iris --llvm contract", "did you mean contract_"),
        ("doctor --plan iris --assembly xyzzy", "there is no kernel 'xyzzy': there are gather_0"),
        ("doctor --plan iris --dtype half", "there are float32, float64"),
        ("train iris --engine xla", "--engine 'xla' is not known: there are native, reference"),
        ("train iris --engine nativ", "did you mean native?"),
        ("evaluate nowhere --engine xla", "there are native, reference"),
        ("predict nowhere digits --engine xla", "there are native, reference"),
    ],
)
def test_what_is_typed_wrongly(command: Command, arguments: str, words: str) -> None:
    Path("letter.txt").write_text("dear")
    assert words in command.refuses(*arguments.split())
    assert not Path("runs").exists()


def test_a_run_has_the_network_it_has(command: Command, run: Path) -> None:
    assert "--hidden cannot be given with it" in command.refuses(*PLAN, run, "--hidden", "3")
    Path("flowers.csv").unlink()
    assert "for 32 × 5" in command.works(*PLAN, run)  # a plan needs no data
    assert "cannot be read" in command.refuses(*PLAN, run, "--profile")


def test_the_engine_that_is_named_is_the_one_that_runs(
    command: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for engine in (NativeEngine, ReferenceEngine):
        usual: Any = engine.compile

        def watched(self: Any, graph: Any, usual: Any = usual) -> Any:
            used.append(self.name)
            return usual(self, graph)

        monkeypatch.setattr(engine, "compile", watched)

    def uses(*arguments: object) -> set[str]:
        used.clear()
        command.works(*arguments)
        # What is measured once for the report, after a training, the reference does.
        return {used[0]} if arguments[0] == "train" else set(used)

    train = ("train", "flowers.csv", "--target", "kind", "--epochs", "1", "--quiet")
    for name in ("native", "reference"):
        for arguments in ((*train, "--output", name), ("evaluate", run), ("predict", run, "flowers.csv")):
            assert uses(*arguments, "--engine", name) == {name}
    # What a training began on it goes on with, so that its bits stay the same; unless another one is named.
    assert uses("train", "--resume", "reference", "--epochs", "2") == {"reference"}
    assert uses("train", "--resume", "reference", "--epochs", "3", "--engine", "native") == {"native"}
    assert uses(*train) == {"native"}
    monkeypatch.setenv("CHAINRULE_ENGINE", "reference")
    assert uses(*train) == {"reference"}
    assert uses(*train, "--engine", "native") == {"native"}
    monkeypatch.setenv("CHAINRULE_ENGINE", "abacus")
    assert "there is no engine 'abacus'; the engines are native, reference" in command.refuses(*train)


def test_a_machine_without_llvm_is_told_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("chainrule.engines.native")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("chainrule.engines.native", None, raising=False)
    for name in ("llvmlite", "llvmlite.binding"):
        monkeypatch.setitem(sys.modules, name, None)
    for arguments in ((*PLAN, "iris"), ("train", "iris", "--engine", "native")):
        assert "pip install llvmlite" in command.refuses(*arguments)
    output = one_line(command.works("doctor"))
    assert "native: the native engine needs llvmlite" in output
    assert "reference (the default): works" in output
