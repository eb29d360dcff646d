"""What `chainrule train` says before and after: the data as they were recognised, the model, the next commands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chainrule.cli.choices import told_optimizer, told_regularizer
from chainrule.cli.imaging import told_augmentation
from chainrule.cli.running import command
from chainrule.cli.screen import figure, say, say_entry
from chainrule.cli.texts import some_of

if TYPE_CHECKING:
    from chainrule.cli.training import Plan
    from chainrule.data import Column, Dataset, Stream
    from chainrule.run import Run

_SCALED = "it is learned scaled to mean 0 and deviation 1, so a loss of 1 is that of always saying the mean"
_STREAMED = "the file is large, so it is read piece by piece in each epoch, and not kept in memory"
_STREAMED_IMAGES = (
    "too many to lie in memory: those to train on are read in each epoch anew, while the training goes on"
)


def tell_data(part: Dataset | Stream, validation: Dataset | None, test: Dataset | Stream) -> None:
    """How many samples of what, what they are for, and what the target was taken for."""
    known = some_of(part)
    shape = part.preparation.shape or known.sample_shape
    points = f"{'×'.join(map(str, shape))} points"
    unit = "token" if part.preparation.symbols else "number"
    each = points if len(shape) > 1 else f"{shape[0]:,} {unit}{'s' if shape[0] > 1 else ''}"
    held = f"{len(validation):,} for validation" if validation is not None else "none for validation"
    streamed = _STREAMED if part.preparation.images is None else _STREAMED_IMAGES
    tested = "the same for the test" if some_of(test).inputs is known.inputs else f"{len(test):,} for the test"
    counts = f"{len(part):,} samples to train on, {held}, {tested}; {each} a sample"
    say_entry("Data", f"{part.name}: {counts}", *([streamed] if known is not part else []))
    scaled = [] if part.preparation.target.changes_nothing else [_SCALED]
    say_entry("Task", part.note or _task(known), *scaled)
    columns = part.preparation.columns
    if columns:
        say_entry("Inputs", *_columns(columns))


def _task(part: Dataset) -> str:
    form = part.preparation.text
    if part.symbolic and form is not None:
        return f"language model: the next of {form.symbols:,} {form.tokens.kind}"
    if part.classes is None:
        return "regression: the target is a number"
    shown = ", ".join(part.classes[:10]) + (", …" if len(part.classes) > 10 else "")
    return f"classification: the target is one of {len(part.classes)} classes: {shown}"


def _columns(columns: tuple[Column, ...]) -> list[str]:
    numbers = [column.name for column in columns if column.kind == "number"]
    told = []
    if numbers:
        shown = ", ".join(numbers[:8]) + (", …" if len(numbers) > 8 else "")
        told.append(f"numbers, each scaled to mean 0 and deviation 1: {shown}")
    for column in [column for column in columns if column.kind != "number"][:8]:
        shown = ", ".join(column.categories[:6]) + (", …" if len(column.categories) > 6 else "")
        told.append(f"text, one input for each of its {column.width} values: {column.name} ({shown})")
    return told


def tell_model(run: Run, plan: Plan) -> None:
    """The summary of the model, what it begins with if not by chance, and how it will be trained."""
    say()
    say(run.summary())
    say()
    if run.transfer is not None:
        say(str(run.transfer))
        say()
    samples = run.spec.samples if run.spec is not None else 0
    steps = math.ceil(samples / run.batch_size)
    batch = "all samples at once" if run.batch_size >= samples else f"batches of {run.batch_size:,}"
    stops = [] if plan.patience is None else [f"or {plan.patience} without improvement"]
    stops += [] if plan.stop_loss is None else [f"or a loss of {figure(plan.stop_loss)}"]
    stops += [] if plan.max_steps is None else [f"or {plan.max_steps:,} steps"]
    stops += [] if plan.max_time is None else [f"or {plan.max_time:g} seconds"]
    epochs = [] if plan.last_epoch is None else [f"{'up to ' if stops else ''}{plan.last_epoch:,} epochs"]
    length = " ".join([*epochs, *stops]).removeprefix("or ")
    each = f"{steps:,} step{'s' if steps > 1 else ''} an epoch"
    told = [told_optimizer(run.optimizer), *told_regularizer(run.regularizer), f"{batch}, {each}", length]
    told += told_augmentation(run.augmentation)
    told += [] if plan.class_weights is None else ["each class counts alike"]
    say_entry("Training", "; ".join([*told, f"seed {run.seed}"]))
    say()


def tell_next(run: Run, folder: Path, report: Path | None, test: Dataset, worst: int | None) -> None:
    """Where the run is, and what can be done with it: commands that work as they stand."""
    sample = worst or 0
    say()
    page = [] if report is None else [f"{report}: curves, result, data and settings, to open in a browser"]
    say_entry("Saved", f"{folder}: plain files, for other tools too (safetensors, TOML, JSON lines)", *page)
    say()
    say(("Next", "bold"))
    commands = [
        (command("check", folder), "are all gradients right?"),
        (command("evaluate", folder), "the test once more"),
        (_predict(run, folder, test), "what it says of new samples"),
    ]
    if test.symbolic:
        commands[-1] = (command("generate", folder, "--temperature", 0.8), "it goes on with a text")
    if not any(name.startswith("state/") for name in run.arrays):  # what a batch is normalised by, one sample has not
        parameter = telling_parameter(run, test, sample)
        line = command("explain", folder, "--sample", sample, "--parameter", parameter)
        commands.insert(0, (line, "where one gradient comes from"))
    for line, what in commands:
        say(f"  {line}")
        say((f"      {what}", "dim"))


def _predict(run: Run, folder: Path, test: Dataset) -> str:
    if run.preparation.columns:
        return command("predict", folder, "--row", raw_row(run.preparation.columns, test.inputs[0]))
    if run.preparation.text is not None:
        return command("predict", folder, "--row", run.preparation.text.decode(test.inputs[0]))
    return command("predict", folder, run.source.get("data", run.name))


def raw_row(columns: tuple[Column, ...], features: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    """The cells that a row of features was made of, as text."""
    import csv
    import io

    cells, place = [], 0
    for column in columns:
        if column.kind == "number":
            # The shortest text that float32 reads back as the same number: 0.1, not 0.10000000149.
            cells.append(repr(float(str(features[place])) + column.origin).removesuffix(".0"))
        else:
            cells.append(column.categories[int(np.argmax(features[place : place + column.width]))])
        place += column.width
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def telling_parameter(run: Run, test: Dataset, sample: int) -> str:
    """A first-layer weight that this sample has something to say about: a large input to a unit that is not silent."""
    parameters = run.parameters
    if run.preparation.symbols:  # rows of symbols, and loops over time, are not what to begin with
        return f"{[name for name, array in parameters.items() if array.ndim == 2][-1]}[0,0]"
    large = {name: array for name, array in parameters.items() if array.ndim >= 2}
    name, weight = next(iter((large or parameters).items()))
    if weight.ndim != 2:  # a kernel: the middle of its first channel
        taps = [size // 2 for size in weight.shape[:-2]]
        return f"{name}[{','.join(map(str, [*taps, 0, 0][-weight.ndim :]))}]"
    inputs = np.asarray(run.preparation.forward(test.inputs[sample]), np.float64).ravel()
    if len(inputs) != len(weight):
        return f"{name}[0,0]"
    bias = parameters.get(name.replace("weight", "bias"), np.zeros(weight.shape[1]))
    return f"{name}[{int(np.argmax(np.abs(inputs)))},{int(np.argmax(inputs @ weight + bias))}]"
