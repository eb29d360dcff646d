"""The wheel, in an empty environment: what a user installs is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
import chainrule
import chainrule.data

assert Path(chainrule.__file__).is_relative_to(sys.prefix), chainrule.__file__
train, test = chainrule.data.load("digits")
print(len(train), len(test), len(chainrule.data.load("iris")[0]))
print(*sorted({"sklearn", "matplotlib", "torch"} & set(sys.modules)))
"""


def run(*command: str | Path, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "CHAINRULE_DATA")}
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of what belongs to it, so that no earlier build can slip in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).is_file():
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", ignore=skipped)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_all_that_belongs_to_them(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "chainrule").rglob("*.py")}
    assert modules <= held
    belongings = {"py.typed", *(f"data/builtin/{name}" for name in ("digits.npz", "iris.csv", "ATTRIBUTION.md"))}
    assert {f"chainrule/{name}" for name in belongings} <= held
    assert any(name.endswith("/LICENSE") for name in held)
    assert not any(name.startswith("tests") for name in held)


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "empty", folder=tmp_path)
    python = next(path for path in (tmp_path / "empty").glob("*/python*") if path.stem == "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, folder=tmp_path)
    assert run(python, "-W", "error", "-c", PROGRAM, folder=tmp_path).splitlines() == ["1438 359 120", ""]
