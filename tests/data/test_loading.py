from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule.data
from chainrule.data import load, names, sources
from chainrule.errors import ConfigurationError, DataError


@pytest.mark.tiny
def test_digits() -> None:
    train, test = load("digits")
    assert (train.inputs.shape, test.inputs.shape) == ((1438, 64), (359, 64))
    assert train.inputs.dtype == np.uint8
    assert train.inputs.max() == 16
    assert train.classes == tuple("0123456789")
    assert (train.preparation.scale, train.preparation.shape) == (1 / 16, (8, 8))
    assert train.labels is not None
    assert test.labels is not None
    whole = np.bincount(train.labels) + np.bincount(test.labels)
    assert (abs(np.bincount(test.labels) - whole * 0.2) < 1).all()


def test_the_split_of_digits_is_fixed() -> None:
    _, test = load("digits")
    assert test.targets is not None
    assert (load("digits", seed=5)[1].inputs == test.inputs).all()
    # Published accuracies stand on this split: it must never move.
    assert test.targets[:15].tolist() == [3, 7, 8, 0, 9, 4, 7, 5, 6, 7, 3, 6, 9, 5, 2]


def test_digits_as_images() -> None:
    flat, images = load("digits")[0], load("digits", images=True)[0]
    assert images.inputs.shape == (1438, 8, 8, 1)
    assert (images.inputs.reshape(-1, 64) == flat.inputs).all()


def test_digits_are_scikit_learn_s() -> None:
    from sklearn.datasets import load_digits

    from chainrule.data.archives import read_npz
    from chainrule.data.built_in import FOLDER

    arrays = read_npz(FOLDER / "digits.npz")
    inputs, targets = load_digits(return_X_y=True)
    assert (arrays["inputs"] == inputs).all()
    assert (arrays["targets"] == targets).all()


def test_iris_is_scikit_learn_s(tmp_path: Path) -> None:
    from chainrule.data.built_in import FOLDER

    script = Path(__file__).parents[2] / "scripts" / "make_builtin_data.py"
    subprocess.run([sys.executable, script, tmp_path], check=True)
    assert (tmp_path / "iris.csv").read_bytes() == (FOLDER / "iris.csv").read_bytes()
    assert "CC BY 4.0" in (FOLDER / "ATTRIBUTION.md").read_text()


def test_iris() -> None:
    train, test = load("iris")
    assert (len(train), len(test)) == (120, 30)
    assert train.classes == ("setosa", "versicolor", "virginica")
    assert (load("iris", seed=1)[1].inputs != test.inputs).any()
    assert load("iris", target="petal_width", ignore=["species"])[0].classes is None


def test_iris_csv_simply_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(load("iris.csv", target="species")[0]) == 120
    (tmp_path / "iris.csv").write_text("a,b\n" + "1,2\n2,3\n" * 3)
    assert len(load("iris.csv", target="b")[0]) == 5
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "elsewhere" / "iris.csv", target="species")


def test_xor() -> None:
    train, test = load("xor")
    assert train.inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert train.targets is not None
    assert train.targets.tolist() == [0, 1, 1, 0]
    assert train is test


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_mnist_and_its_successor(name: str) -> None:
    if sources.locate(name) is None:
        pytest.skip(f"{name} is not on this machine")
    train, test = load(name)
    assert (train.inputs.shape, test.inputs.shape) == ((60_000, 784), (10_000, 784))
    assert train.inputs.dtype == np.uint8
    assert (train.preparation.scale, train.preparation.shape) == (1 / 255, (28, 28))
    assert train.classes is not None
    assert len(train.classes) == 10
    assert load(name, images=True)[1].inputs.shape == (10_000, 28, 28, 1)


def test_files_by_their_ending(tmp_path: Path) -> None:
    (tmp_path / "a.TSV").write_text("a\tb\n" + "1\tx\n2\ty\n" * 3)
    assert load(tmp_path / "a.TSV", target="b")[0].classes == ("x", "y")
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=[0, 1, 0, 1])
    assert load(str(tmp_path / "a.npz"))[0].classes == ("0", "1")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name_or_path": "digit"}, DataError, r"'digit' is no data set: did you mean digits\? known are digits, iris"),
        ({"name_or_path": "Fashion_MNIST"}, DataError, "did you mean fashion-mnist"),
        ({"name_or_path": "zzz"}, DataError, "known are digits, iris, xor, mnist, fashion-mnist, tinyshakespeare"),
        ({"name_or_path": "data/none.csv", "target": "y"}, DataError, "no such file"),
        ({"name_or_path": __file__}, DataError, "a file of this kind is not read"),
        ({"name_or_path": "iris", "images": True}, ConfigurationError, "iris has no images"),
        ({"name_or_path": "iris.csv", "images": True}, ConfigurationError, "iris.csv is read as it is"),
        ({"name_or_path": "digits", "target": "y"}, ConfigurationError, "target='y' is for tables; digits is none"),
        ({"name_or_path": "xor", "task": "regression"}, ConfigurationError, "task='regression' is for tables"),
        ({"name_or_path": "some.npz", "ignore": ["a"]}, ConfigurationError, "is for tables; some.npz is none"),
    ],
)
def test_refusals(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load(**arguments)


def test_a_misspelt_file_is_answered_with_the_near_one(tmp_path: Path) -> None:
    (tmp_path / "houses.csv").touch()
    with pytest.raises(DataError, match=r"no such file; did you mean houses\.csv\?"):
        load(tmp_path / "house.csv", target="y")


def test_names_are_what_load_knows() -> None:
    texts = ("tinyshakespeare", "thucnews-titles", "chinese-poetry")
    assert names() == ("digits", "iris", "xor", "mnist", "fashion-mnist", *texts)
    assert set(sources.SOURCES) < set(names())
    assert all(hasattr(chainrule.data, name) for name in chainrule.data.__all__)


def test_importing_the_room_is_cheap() -> None:
    heavy = ["csv", "urllib.request", "zipfile", "gzip", "http.client", "hashlib", "difflib"]
    program = (
        "import sys, numpy; before = set(sys.modules); import chainrule.data; "
        f"print(*[name for name in {heavy} if name in set(sys.modules) - before])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(chainrule.data.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    assert run.stdout.strip() == ""
