"""The page: sections in order, in one file that needs nothing else, no script and no network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.data.describing import contents
from chainrule.errors import RunFileError
from chainrule.formats.folder import write_bytes
from chainrule.report.course import best_validation, charts, epoch_table, left_out, rate_words, time_taken
from chainrule.report.describing import (
    counted,
    data_sections,
    machine_table,
    model_sections,
    settings_table,
    versions,
)
from chainrule.report.health import diagnosis_section
from chainrule.report.inside import inside_section
from chainrule.report.markup import Child, Markup, element
from chainrule.report.numbers import told
from chainrule.report.results import Result, result
from chainrule.report.style import SHEET
from chainrule.report.tables import cut

if TYPE_CHECKING:
    from chainrule.run import Data, Run

#: The name of a report in the folder of its run.
REPORT = "report.html"
_PERCENT = ("accuracy", "balanced_accuracy", "f1")


def write_report(run: Run, path: str | Path, test: Data | None = None, words: str = "the test data") -> Path:
    """Write the report of a run; a folder gets a report.html in it. `chainrule.run.Run.report` is the way to it."""
    place = Path(path)
    place = place / REPORT if place.is_dir() else place
    content = report_page(run, test, words).encode("utf-8")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFileError(f"{place} could not be written: {error.strerror or error}") from error
    write_bytes(place, content)
    return place


def report_page(run: Run, test: Data | None = None, words: str = "the test data") -> str:
    """The whole page as text; ``words`` say what the test data are."""
    found = None if test is None else result(run, test)
    parts = _parts(run, test)
    inside = None if test is None else inside_section(run, test)
    title = f"{cut(run.name or run.step.name)}: a training"
    body = [
        element("h1", run.name or run.step.name),
        element("p", _subtitle(run), class_="soft"),
        element("div", _tiles(run, found), class_="tiles"),
        _section("Course", _course(run)),
        _section(
            "Result",
            [element("p", f"Measured on {words}.", class_="soft"), *found.sections],
        )
        if found is not None
        else None,
        _section("Diagnosis", diagnosis_section(run, test)) if test is not None else None,
        _section("Inside", inside) if inside else None,
        _section("Data", data_sections(run, parts)),
        _section("Model", model_sections(run)),
        _section("Training", [settings_table(run)]),
        _section("To do it again", _again(run)),
        element("footer", f"Written by chainrule on {time.strftime('%Y-%m-%d at %H:%M')}."),
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(SHEET)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', body), lang='en')}\n"


def _section(title: str, children: list[Child]) -> Markup:
    return element("section", element("h2", title), children)


def _subtitle(run: Run) -> str:
    steps = len(run.history)
    told_of = [f"{run.epoch:,} epoch{'' if run.epoch == 1 else 's'}, {steps:,} step{'' if steps == 1 else 's'}"]
    told_of += [f"stopped: {run.stopped}"] if run.stopped else []
    return "; ".join(told_of)


def _tiles(run: Run, found: Result | None) -> list[Markup]:
    tiles: list[tuple[str, str]] = []
    for name, value in ({} if found is None else found.measured).items():
        if name in ("loss", "accuracy", "r2", "root_mean_squared_error"):
            shown = f"{min(value, 0.9999) if value < 1 else value:.2%}" if name in _PERCENT else told(value)
            tiles.append((f"{_words(name)}, test", shown))
    best = best_validation(run.history)
    if best is not None:
        tiles.append((f"least validation loss, epoch {best[0]:,}", told(best[1])))
    elif run.history.epochs and "loss" in run.history.epochs[-1]:
        tiles.append(("loss of the last epoch", told(float(run.history.epochs[-1]["loss"]))))
    tiles.append(("parameters", told(counted(run))))
    taken = time_taken(run.history)
    tiles += [("training time", taken)] if taken else []
    return [element("div", element("b", value), element("small", name), class_="tile") for name, value in tiles]


def _words(name: str) -> str:
    return {"r2": "R²", "root_mean_squared_error": "root mean squared error"}.get(name, name)


def _course(run: Run) -> list[Child]:
    drawn = charts(run.history)
    if not drawn:
        return [element("p", "No step has been taken, or what was recorded of them is not there.")]
    words = " ".join(filter(None, (rate_words(run.history), left_out(run.history))))
    return [
        element("div", drawn, class_="charts"),
        element("p", words, class_="soft") if words else None,
        epoch_table(run.history),
    ]


def _parts(run: Run, test: Data | None) -> dict[str, Mapping[str, Any]]:
    """What is known of the data: from the training itself, and of the test data by looking."""
    kept = run.source.get("parts")
    known = (
        {name: part for name, part in kept.items() if isinstance(part, Mapping)} if isinstance(kept, Mapping) else {}
    )
    if not known and run.spec is not None:
        known = {"training": {"samples": run.spec.samples}}
    return known if test is None else {**known, "test": contents(test)}


def _again(run: Run) -> list[Child]:
    commands = run.source.get("commands")
    lines = [line for line in commands if isinstance(line, str)] if isinstance(commands, list) else []
    found: list[Child] = []
    if lines:
        first = "These commands, one after the other, made" if len(lines) > 1 else "This command made"
        found += [element("p", f"{first} this run:"), element("pre", "\n".join(lines))]
    else:
        found.append(element("p", f"A program made this run, with seed {run.seed} and the settings above."))
    made = versions(run)
    wanted = [f"{name}=={made[name]}" for name in ("chainrule", "numpy", "llvmlite") if name in made]
    found += [
        element("p", f"On Python {made.get('python', '3')}, in an environment with:"),
        element("pre", "pip install " + " ".join(wanted)),
        element(
            "p",
            "The same seed, versions and machine give the same bits; on another machine the last digits may differ, "
            "and a training amplifies that slowly.",
            class_="soft",
        ),
        machine_table(run),
    ]
    return found
