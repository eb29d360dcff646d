"""`chainrule predict`: what a run says of new samples."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.arguments import EngineName, RunFolder
from chainrule.errors import ConfigurationError, DataError, RunFileError

if TYPE_CHECKING:
    from chainrule.run import Run


def predict(
    run: RunFolder,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA|FILES…",
            help="A name, or a file, without a target; or image files, and folders of them.",
            show_default=False,
        ),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(metavar='"A,B,…"', help="One sample on the command line, its values in the order of the table."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write there instead of to the terminal.")
    ] = None,
    probabilities: Annotated[
        bool | None,
        typer.Option(
            "--probabilities/--no-probabilities",
            help="A column for each class: how probable it is.  [default: for image files]",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="digit: find a handwritten digit on a photo, and bring it into MNIST's form; or image.",
        ),
    ] = None,
    fit: Annotated[str | None, typer.Option(metavar="NAME", help="As for train: crop or stretch.")] = None,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Go on after an image file that cannot be read, and say which.")
    ] = False,
    engine: EngineName = None,
) -> None:
    """Predict the targets of new samples, as CSV lines.

    A table is read by the names of its columns, in any order; further columns,
    the target too, are left alone. Numbers come in the target's own units.
    Image files may be of any size and kind: they are brought into the form of
    the images that the run was trained on.

    \b
    Examples:
      chainrule predict runs/iris-1 flowers.csv
      chainrule predict runs/iris-1 --row "5.1,3.5,1.4,0.2"
      chainrule predict runs/digits-1 digits --probabilities --output said.csv
      chainrule predict runs/headlines-1 --row "a headline to be classed"
      chainrule predict runs/photos-1 new/*.jpg
      chainrule predict runs/mnist-1 letter.jpg --as digit
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.imaging import read_blocks
    from chainrule.cli.running import open_run, writable
    from chainrule.cli.screen import say

    if (not data) == (not row):
        raise ConfigurationError('name what to predict: DATA, or a sample by --row "5.1,3.5,…"; one of the two')
    if output is not None:
        writable(output)
    found = open_run(run, engine_name(engine))
    files = None if row or not data else _files_named(data)
    skipped: list[str] | None = [] if skip_damaged else None
    if files is not None:
        every = found.classes is not None if probabilities is None else probabilities
        lines = list(_lines_of_files(found, read_blocks(found, files, kind, fit, skipped), every))
        for told in skipped or []:
            say(f"left out: {told}", error=True)
        if len(lines) < 2:
            raise DataError(f"none of the {len(files):,} files could be read")
    else:
        if kind is not None or fit is not None:
            raise ConfigurationError(f"{'--as' if kind is not None else '--fit'} is for image files")
        if data and len(data) > 1:
            raise ConfigurationError(f"one name or table at a time: {data[0]}, and not {data[1]} too")
        inputs = _rows(found, row) if row else _inputs(found, str((data or [""])[0]))
        lines = list(_lines(found, inputs, bool(probabilities)))
    if output is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
        return
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(lines)
    from chainrule.formats.folder import write_bytes

    write_bytes(output, content.getvalue().encode())
    say(f"{len(lines) - 1:,} predictions are in {output}")


def _lines(run: Run, inputs: Any, probabilities: bool) -> Iterator[Sequence[object]]:
    if run.model is None:
        raise RunFileError("this run was trained by a step of its own, so there is no one model to predict with")
    name = run.preparation.target_name or "prediction"
    if run.preparation.symbols and run.classes is None:
        raise ConfigurationError("this run tells which token comes next: chainrule generate RUN goes on with a text")
    if run.classes is None:
        if probabilities:
            raise ConfigurationError("--probabilities is for classes; this run predicts a number")
        said = run.predict(inputs)
        outputs = said.shape[1]
        yield ["sample", *([name] if outputs == 1 else [f"{name} {place}" for place in range(outputs)])]
        yield from ([place, *(f"{value:.6g}" for value in values)] for place, values in enumerate(said.tolist()))
        return
    from chainrule.cli.results import is_probable, scores_of

    scores = scores_of(run, inputs)
    best = "probability" if is_probable(run) else "score"
    yield ["sample", name, best, *(f"{best} of {one}" for one in run.classes if probabilities)]
    for place, label in enumerate(scores.argmax(axis=1)):
        every = [f"{value:.6g}" for value in scores[place].tolist()] if probabilities else []
        yield [place, run.classes[int(label)], f"{scores[place, label]:.6g}", *every]


def _files_named(names: Sequence[str]) -> list[Path] | None:
    """The image files that these names stand for, or None if they are something else: a table, a name of data."""
    from chainrule.cli.sources import TABLES, is_name
    from chainrule.data.image_listing import list_images

    if len(names) == 1 and (is_name(names[0]) or Path(names[0]).suffix.lower() in (*TABLES, ".npz", ".txt")):
        return None
    if len(names) == 1 and not Path(names[0]).exists() and not Path(names[0]).suffix:
        return None  # a name that is not known, for which there is a better answer
    found: list[Path] = []
    for name in names:
        found += list_images(Path(name)).paths if Path(name).is_dir() else [Path(name)]
    return found


def _lines_of_files(
    run: Run, blocks: Iterator[tuple[list[Path], Any]], probabilities: bool
) -> Iterator[Sequence[object]]:
    for number, (paths, inputs) in enumerate(blocks):
        head, *lines = _lines(run, inputs, probabilities)
        if number == 0:
            yield ["file", *head[1:]]
        yield from ([path, *line[1:]] for path, line in zip(paths, lines, strict=True))


def _inputs(run: Run, data: str) -> Any:
    from chainrule.cli.sources import read_like

    found, _ = read_like(run, data, None, with_targets=False)
    return found.inputs


def _rows(run: Run, rows: Sequence[str]) -> Any:
    import numpy as np

    if run.preparation.text is not None:
        return run.preparation.text.encode([(f"--row {number}", text) for number, text in enumerate(rows, 1)])
    columns = [column.name for column in run.preparation.columns]
    parsed = [next(csv.reader([text], skipinitialspace=True), []) for text in rows]
    shape = run.spec.arrays["inputs"][0] if run.spec is not None else ()
    wanted = len(columns) or int(np.prod(shape))
    for number, cells in enumerate(parsed, 1):
        if len(cells) != wanted:
            names = f": {', '.join(columns)}" if columns else ""
            raise DataError(f"--row {number} has {len(cells)} values, and a sample has {wanted}{names}")
    if columns:
        named = [dict(zip(columns, cells, strict=True)) for cells in parsed]
        return run.preparation.encode(named, "--row")
    try:
        values = np.array([[float(cell) for cell in cells] for cells in parsed], np.float32)
    except ValueError as error:
        raise DataError(f"--row: {error}") from error
    if not np.isfinite(values).all():
        raise DataError("--row: NaN and infinity are no values to predict from")
    return values.reshape(len(values), *shape)
