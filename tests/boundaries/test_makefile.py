"""Set-up on machines that lack something: what is missing is said, with the command that installs it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="the Makefile is for Linux and macOS"),
]


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_python(folder: Path, name: str, module: str, content: str) -> Path:
    """A Python that works, but for one module of its own that says something else."""
    inside = folder / f"{name}-modules"
    inside.mkdir()
    (inside / f"{module}.py").write_text(content)
    return executable(folder / name, f'#!/bin/sh\nPYTHONPATH={inside} exec {sys.executable} "$@"\n')


def without_ensurepip(folder: Path, name: str = "python-bare") -> Path:
    return fake_python(folder, name, "ensurepip", "raise ModuleNotFoundError('no module named ensurepip')")


def of_version(folder: Path, version: tuple[int, int], name: str = "python-other") -> Path:
    return fake_python(folder, name, "sitecustomize", f"import sys; sys.version_info = ({version[0]}, {version[1]}, 0)")


def make(folder: Path, python: Path | str, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """``make`` with that interpreter, an environment in the folder, and an ``apt-get`` to be found."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    executable(tools / "apt-get", "#!/bin/sh\nexit 1\n")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHON", "VENV", "MAKEFLAGS")}
    environment["PATH"] = f"{tools}{os.pathsep}{path or environment['PATH']}"
    command = ["make", "-C", str(ROOT), f"VENV={folder / 'environment'}", *arguments]
    if python:
        command.append(f"PYTHON={python}")
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.mark.parametrize("goal", ["digits", "test"])
def test_a_python_without_venv_and_pip_is_told_how_to_get_them(tmp_path: Path, goal: str) -> None:
    done = make(tmp_path, without_ensurepip(tmp_path), goal)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 2
    assert f"(Python {version}) comes without venv and pip. Install them with:" in done.stderr
    assert f"apt install python{version}-venv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "environment").exists()


@pytest.mark.parametrize("version", [(3, 10), (2, 7)])
def test_a_python_that_is_too_old_is_told_so(tmp_path: Path, version: tuple[int, int]) -> None:
    done = make(tmp_path, of_version(tmp_path, version), "digits")
    assert done.returncode == 2
    assert f"is Python {version[0]}.{version[1]}, and Python 3.11 or newer is needed" in done.stderr
    assert "apt install python3.11-venv" in done.stderr


def test_a_python_that_does_not_run_is_told_so(tmp_path: Path) -> None:
    for python in (executable(tmp_path / "shim", "#!/bin/sh\nexit 127\n"), "no-such-python"):
        done = make(tmp_path, python, "digits")
        assert done.returncode == 2
        assert f"PYTHON={python} does not run" in done.stderr


def test_the_script_itself_answers_2(tmp_path: Path) -> None:
    # make turns any failure into a 2 of its own.
    script = [str(ROOT / "scripts" / "environment.sh"), str(tmp_path / "environment")]
    environment = {**os.environ, "PYTHON": str(without_ensurepip(tmp_path))}
    assert subprocess.run(script, env=environment, capture_output=True, check=False).returncode == 2


def test_shims_that_fail_and_old_ones_are_passed_over(tmp_path: Path) -> None:
    # A version manager leaves a shim for each version that it knows, and most of them fail.
    shims = tmp_path / "shims"
    shims.mkdir()
    executable(shims / "python3.13", "#!/bin/sh\necho 'command not found' >&2; exit 127\n")
    of_version(shims, (3, 10), "python3.12")
    without_ensurepip(shims, "python3.11")
    done = make(tmp_path, "", "digits", path=f"{shims}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 2
    assert "python3.11 (Python 3." in done.stderr
    assert "comes without venv and pip" in done.stderr
    assert "command not found" not in done.stderr


def test_a_machine_without_a_fit_python_is_told_what_was_found(tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        of_version(shims, (3, 9), name)
    done = make(tmp_path, "", "digits", path=f"{shims}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 2
    assert "only Python 3.9 was found, and Python 3.11 or newer is needed. Install one with:" in done.stderr


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "letters.txt").write_text("dear")
    done = make(tmp_path, sys.executable, "digits")
    assert done.returncode == 2
    assert "exists and is no virtual environment" in done.stderr
    assert (tmp_path / "environment" / "letters.txt").read_text() == "dear"


def test_help_names_every_command(tmp_path: Path) -> None:
    done = make(tmp_path, "", "help")
    assert done.returncode == 0
    for goal in ("digits", "test", "tiny", "lint", "types"):
        assert f"make {goal} " in done.stdout


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert "exec make test" in script.read_text()
    assert os.access(script, os.X_OK)
