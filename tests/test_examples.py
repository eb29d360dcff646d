"""Every example runs as it stands, and shows what it says it shows."""

from __future__ import annotations

import ast
import importlib
import inspect
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chainrule import extending
from chainrule.errors import MissingExtraError
from tests.examples import beginnings, capacity, coding, depth, descents, extensions, inside, texts

FOLDER = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
#: Arguments that make an example short enough for a test; its picture is judged by eye, in its full length.
LONG = ["approximation", "depth_and_width", "batch_norm_rates", "local_minima", "populations"]
LONG += ["autoencoders", "convolutional_pair", "pretraining", "transfer", "vanishing_through_time"]
DRAWING = ["overfitting", "activations", "saturated_output", "equal_weights", "warm_restarts", *LONG]
ARGUMENTS = {
    "adversarial_pair": ["pictures", "3"],
    **{name: ["--picture", f"pictures/{name}.png"] for name in DRAWING},
    "augmented_digits": ["--short", "--picture", "pictures/augmented_digits.png"],
    "looking_inside": ["--short", "--picture", "pictures/looking_inside.png"],
    "learning_rates": ["--epochs", "6", "--picture", "pictures/learning_rates.png"],
    "batch_sizes": ["--epochs", "4", "--picture", "pictures/batch_sizes.png"],
    "optimizer_paths": ["--picture", "pictures/optimizer_paths.png"],
    "optimizer_race": ["--epochs", "4", "--picture", "pictures/optimizer_race.png"],
    "schedules_compared": ["--epochs", "8", "--picture", "pictures/schedules_compared.png"],
    "second_order": ["--short", "--picture", "pictures/second_order.png"],
    "vanishing": ["--epochs", "3", "--engine", "reference", "--picture", "pictures/vanishing.png"],
    "exploding": ["--seeds", "1", "--epochs", "20", "--picture", "pictures/exploding.png"],
    **{name: ["--short"] for name in ("headlines", "poems", "shakespeare")},
}
for long in LONG:
    ARGUMENTS[long].insert(0, "--short")
PICTURES = {
    "adversarial_pair": ["adversarial-pair.png"],
    "autoencoder": ["autoencoder.png"],
    "descent": ["descent-parabola.png", "descent-contours.png"],
    **{name: [f"{name}.png"] for name in DRAWING},
    "augmented_digits": ["augmented_digits.png"],
    "looking_inside": ["looking_inside.png"],
    "learning_rates": ["learning_rates.png"],
    "batch_sizes": ["batch_sizes.png"],
    "optimizer_paths": ["optimizer_paths.png"],
    "optimizer_race": ["optimizer_race.png"],
    "schedules_compared": ["schedules_compared.png"],
    "second_order": ["second_order.png"],
    "vanishing": ["vanishing.png"],
    "exploding": ["exploding.png"],
}

Run = Callable[[str], tuple[dict[str, object], str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an example in an empty folder, and give its variables and what it printed."""

    def run_example(name: str) -> tuple[dict[str, object], str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *ARGUMENTS.get(name, [])])
        try:
            variables = runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        finally:
            for op in list(extending._own):
                extending.remove_op(op)
        return variables, capsys.readouterr().out

    return run_example


#: What an example shows is looked at by the function of its name.
SHOWN: dict[str, Callable[[dict[str, object], str], None]] = {
    name: check
    for module in (beginnings, capacity, coding, depth, descents, extensions, inside, texts)
    for name, check in vars(module).items()
    if inspect.isfunction(check) and check.__module__ == module.__name__
}


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_shows_what_it_says(name: str, run: Run, tmp_path: Path) -> None:
    variables, text = run(name)
    assert text
    if name in SHOWN:
        SHOWN[name](variables, text)
    for picture in PICTURES.get(name, []):
        found = (tmp_path / "pictures" / picture).read_bytes()
        assert found.startswith(b"\x89PNG")
        assert len(found) > 5_000


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_what_one_sees_and_how_to_run_it(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text()
    said = ast.get_docstring(ast.parse(source)) or ""
    assert f"python examples/{name}.py" in said
    assert len(said.splitlines()[0]) > 20
    assert 8 <= len(source.splitlines()) <= 60, "one idea a file"


def test_every_check_has_its_example() -> None:
    assert set(SHOWN) <= set(NAMES)


def test_without_matplotlib_a_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "chainrule.explain.pictures", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[plot\]'"):
        run("descent")
    monkeypatch.undo()
    importlib.import_module("chainrule.explain.pictures")
