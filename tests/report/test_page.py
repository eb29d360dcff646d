"""The page about a run: well-formed, alone, true to the history, and safe whatever things are called."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.keys import Key
from chainrule.report.course import step_places
from chainrule.report.page import report_page
from chainrule.training import History

_VOID = {"meta", "br", "img"}
#: What makes a browser run or fetch something.
_ACTIVE = {"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio", "image", "use", "a"}
#: A picture that the page holds itself.
_HELD = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+=*")
HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'; DROP TABLE--", "&lt;b&gt;",
    "</style><svg onload=x>",
    "a\x00b\x1b[31m", "\ud800", "‮evil", "长" * 300, "%s {0}", "",
)  # fmt: skip


class Page(HTMLParser):
    """A page taken apart: its texts, its elements; AssertionError where one is left open or closed twice."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def says(self, words: str) -> bool:
        return words in " ".join(self.texts)


def alone(page: Page, text: str) -> None:
    """Nothing in it is run, and nothing is fetched."""
    assert not {tag for tag, _ in page.elements} & _ACTIVE
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "xlink:href")]
        assert ("src" in attributes) == (tag == "img")
        assert _HELD.fullmatch(attributes.get("src") or "data:image/png;base64,a")
        assert "url(" not in (attributes.get("style") or "")
    written = _HELD.sub("", text)  # four letters may spell anything there
    assert "@import" not in written
    assert "url(" not in written
    assert "http" not in written


def checked(text: str) -> Page:
    page = Page(text)
    alone(page, text)
    assert text.startswith("<!DOCTYPE html>")
    text.encode("utf-8")
    return page


def digits(epochs: int = 3, **settings: Any) -> tuple[cr.Run, cr.data.Dataset]:
    train, test = cr.data.load("digits")
    chain = cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10))
    return cr.fit(chain, train, validation=test, epochs=epochs, **settings), test


def houses() -> tuple[cr.Run, cr.data.Dataset]:
    x = Key(0, "x").normal((400, 3))
    y = 50_000 + 1000 * (x @ [[2.0], [-1.0], [0.5]] + Key(0, "e").normal((400, 1), 0.3))
    scaling = cr.data.Scaling.to_range(y, -1, 1)
    data = cr.data.from_arrays(x, y)
    prepared = dataclasses.replace(data.preparation, target=scaling, target_name="price")
    train, test = dataclasses.replace(data, preparation=prepared, name="houses").split(0.25)
    return cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(1)), train, epochs=4), test


@pytest.fixture(scope="module")
def trained() -> tuple[cr.Run, cr.data.Dataset]:
    return digits()


def test_a_classifier_is_told_whole(trained: tuple[cr.Run, cr.data.Dataset], tmp_path: Path) -> None:
    run, test = trained
    start = time.perf_counter()
    path = run.report(tmp_path, test)
    assert time.perf_counter() - start < 1.0
    assert path == tmp_path / "report.html"
    page = checked(path.read_text("utf-8"))
    found = run.evaluate(test)
    for words in (
        "digits", "Course", "Confusion matrix", "By class", "Parts", "Preparation", "Dense(relu)", "1,210",
        "CrossEntropy", "optimizer: learning rate", "SGD", "seed", "pip install chainrule==", "llvmlite", "processor",
        "Numbers by epoch",
        f"{found['accuracy']:.2%}", f"{found['loss']:.4g}", "times 0.0625", "The learning rate was 0.1 throughout.",
    ):  # fmt: skip
        assert page.says(words), words
    matrix = run.confusion(test).counts
    told = [a["title"] for a in page.of("td") if a.get("title")]
    assert len(told) == np.count_nonzero(matrix)
    for i, j in zip(*np.nonzero(matrix), strict=True):
        assert any(str(one).startswith(f"{i} was taken for {j}: {matrix[i, j]} times") for one in told)
    train = cr.data.load("digits")[0]
    assert train.labels is not None
    for count in np.bincount(train.labels):
        assert str(count) in page.texts


def test_a_regression_shows_its_residuals(tmp_path: Path) -> None:
    run, test = houses()
    page = checked(run.report(tmp_path / "deep" / "houses.html", test).read_text("utf-8"))
    assert len([a for a in page.of("circle") if a.get("opacity")]) == 2 * len(test)
    for words in ("price: predicted and true", "price: residuals", "R²", "none: the target is a number", "deviation"):
        assert page.says(words), words
    error = run.predict(test.inputs) - test.targets
    assert page.says(f"{np.sqrt(np.mean(error**2)):.4g}".replace("-", "−"))


@pytest.mark.parametrize("epochs", [1, 2])
def test_few_epochs_without_validation_or_test(epochs: int) -> None:
    train, _ = cr.data.load("iris")
    run = cr.fit(cr.Chain(cr.Dense(3)), train, epochs=epochs)
    page = checked(report_page(run))
    assert page.says("loss of the last epoch")
    assert not page.says("Result")
    assert len(page.of("svg")) == 3


def test_a_run_before_its_first_step_and_one_without_its_records() -> None:
    train, test = cr.data.load("iris")
    run = cr.prepare(cr.Chain(cr.Dense(3)), train)
    assert checked(report_page(run, test)).says("No step has been taken")
    run.fit(train, epochs=1)
    run.history = History()
    assert checked(report_page(run)).says("No step has been taken")


def test_a_step_of_ones_own_has_a_page_too(tmp_path: Path) -> None:
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def fall(state: Any, batch: Any) -> dict[str, cr.Node]:
        y = state.apply(unit, batch["x"])
        state.descend(cr.graph.sum(y**2), unit, cr.optimizers.SGD(0.01))
        return {"height": cr.graph.sum(y)}

    data = {"x": np.ones((8, 2), np.float32)}
    run = cr.fit(fall, data, epochs=2, batch_size=4)
    page = checked(run.report(tmp_path, data).read_text("utf-8"))
    assert page.says("height")
    assert page.says("fall, of its own")
    assert not page.says("Result")


def test_names_are_shown_and_never_run(tmp_path: Path) -> None:
    """Wherever a name comes from: classes, columns, data, command, callbacks' words, files."""
    count = len(HOSTILE)
    x = np.eye(count, dtype=np.float32).repeat(4, axis=0)
    columns = [cr.data.Column(name, "number") for name in HOSTILE[:-1]]
    columns.append(cr.data.Column("kind", "category", ("<b>",)))
    data = cr.data.Dataset(
        x, np.arange(count).repeat(4), classes=HOSTILE, name=HOSTILE[0],
        preparation=cr.data.Preparation(columns=tuple(columns), target_name=HOSTILE[1]),
    )  # fmt: skip
    run = cr.fit(cr.Chain(cr.Dense(count)), data, validation=data, metrics=["recall_per_class"], epochs=2)
    run.stopped = HOSTILE[0]
    run.source |= {"data": HOSTILE[1], "commands": [HOSTILE[0]], "ignore": [*HOSTILE], "holds": HOSTILE[4]}
    text = report_page(run, data, HOSTILE[0])
    page = checked(text)
    assert "<script" not in text.lower()
    assert page.says("<script>alert(1)</script>")
    assert not re.search("[\x00-\x08\x0e-\x1f\ud800-\udfff]", text)
    assert text.count("<style>") == text.count("</style>") == 1


@pytest.mark.parametrize(
    "source",
    [
        {"parts": 3}, {"parts": {"training": 3}}, {"parts": {"training": {"counts": ["a"], "samples": []}}},
        {"parts": {"training": {"targets": 5}}}, {"commands": 7}, {"commands": [{}]}, {"training": []}, {"data": 5},
    ],
)  # fmt: skip
def test_what_a_file_says_wrong_of_the_data_breaks_nothing(
    source: dict[str, Any], trained: tuple[cr.Run, cr.data.Dataset]
) -> None:
    run, test = trained
    before = run.source
    run.source = source
    checked(report_page(run, test))
    run.source = before


def test_a_hundred_thousand_steps_are_a_small_page_that_shows_the_extremes() -> None:
    run, _ = digits(1)
    history = History()
    losses = np.exp(Key(0, "loss").normal((100_000,)))
    losses[54_321], losses[76_543] = 1e5, 1e-5
    for step, loss in enumerate(losses.tolist(), 1):
        numbers = {"loss": loss, "accuracy": 0.5, "gradient_norm": loss**2, "learning_rate": 1 / step, "seconds": 1e-5}
        history.add_step({"step": step, "epoch": (step - 1) // 100 + 1, "samples": 32, **numbers})
    for epoch in range(1, 1001):
        history.epochs.append({"epoch": epoch, "loss": 1 / epoch, "validation_loss": math.nan if epoch == 5 else 0.5})
    run.history, run.epoch = history, 1000
    start = time.perf_counter()
    text = report_page(run)
    assert time.perf_counter() - start < 3.0
    assert len(text) < 400_000
    heights = [float(y) for y in re.findall(r"[\d.]+,([\d.]+)", str(checked(text).of("path")[0]["d"]))]
    ordered = sorted(heights)
    assert ordered[1] - ordered[0] > 20  # one peak and one valley, each by itself
    assert ordered[-1] - ordered[-2] > 20


def test_many_classes_and_many_outputs_stay_small() -> None:
    names = tuple(f"class {place}" for place in range(500))
    data = cr.data.Dataset(np.eye(500, dtype=np.float32), np.arange(500), classes=names)
    text = report_page(cr.fit(cr.Chain(cr.Dense(500)), data, epochs=1), data)
    assert checked(text).says("and 300 more")
    assert len(text) < 300_000
    x = Key(0).normal((5000, 2))
    wide = cr.data.from_arrays(x, np.concatenate([x] * 4, axis=1))
    text = report_page(cr.fit(cr.Chain(cr.Dense(8)), wide, epochs=1), wide)
    assert checked(text).says("The first 4 of 8 outputs are drawn.")
    assert len(text) < 1_000_000


def test_the_curve_is_the_history(trained: tuple[cr.Run, cr.data.Dataset]) -> None:
    """Read back from the drawing, by the numbers at its axis: each epoch's loss, and each step's."""
    run, _ = trained
    text = report_page(run)
    figure = re.search(r"<figure><figcaption>loss.*?</figure>", text, re.S)
    assert figure is not None
    texts = re.findall(r'<text x="62\.0" y="([\d.]+)" text-anchor="end">([^<]*)</text>', figure[0])
    heights = np.array([float(y) - 4 for y, _ in texts])
    values = np.array([float(value) for _, value in texts])
    if "logarithmic" in figure[0]:
        values = np.log10(values)
    slope, start = np.polyfit(heights, values, 1)
    paths = re.findall(r'<path d="M([^"]*)"', figure[0])
    drawn = [np.array([[float(n) for n in point.split(",")] for point in path.split()]) for path in paths]
    steps, epochs, held = ([*map(float, start + slope * line[:, 1])] for line in drawn)
    for found, wanted in (
        (steps, run.history.steps["loss"]),
        (epochs, [record["loss"] for record in run.history.epochs]),
        (held, [record["validation_loss"] for record in run.history.epochs]),
    ):
        expected = np.log10(wanted) if "logarithmic" in figure[0] else np.asarray(wanted)
        np.testing.assert_allclose(found, expected, atol=abs(slope) * 0.2)
    said = re.findall(r"<title>validation, epoch (\d+): ([^<]*)</title>", figure[0])
    assert said == [(str(r["epoch"]), f"{r['validation_loss']:.4g}") for r in run.history.epochs]


def test_steps_lie_within_their_epochs() -> None:
    history = History()
    for epoch, count in ((1, 4), (2, 4), (3, 2)):
        for _ in range(count):
            history.add_step({"step": len(history) + 1, "epoch": epoch})
    history.epochs = [{"epoch": 1}, {"epoch": 2}]
    assert step_places(history).tolist() == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5]
    history.epochs.append({"epoch": 3})
    assert step_places(history).tolist()[-2:] == [2.5, 3.0]


def test_a_page_that_cannot_be_written_is_said(trained: tuple[cr.Run, cr.data.Dataset], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(cr.errors.RunFileError, match="could not be written"):
        trained[0].report(tmp_path / "taken" / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_what_the_training_was_told_is_kept_with_the_run(tmp_path: Path) -> None:
    run, _ = digits(1)
    page = Page(cr.load(run.save(tmp_path)).report(tmp_path).read_text("utf-8"))
    assert page.says("validation")
    assert cr.load(tmp_path).source["parts"] == run.source["parts"]
    assert sum(run.source["parts"]["training"]["counts"]) == 1438
