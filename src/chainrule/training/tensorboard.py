"""A training as TensorBoard shows it: event files, written by tensorboardX, which is an extra."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import ConfigurationError, MissingExtraError, RunFileError
from chainrule.layers.scope import PARAMETERS
from chainrule.training.callbacks import Callback

if TYPE_CHECKING:
    from chainrule.training.loop import Training

_HELD = "validation_"
#: What an epoch's record has that is no measure.
_UNSHOWN = ("epoch", "steps", "samples")
_PARTS = ("loss", "optimizer", "regularizer", "augmentation")


class TensorBoard(Callback):
    """Write what a training records as event files, for ``tensorboard --logdir FOLDER``.

    Each measure has its charts together: "loss/step", "loss/epoch" and "loss/validation", all over the number of the
    step. Of the steps every ``every_steps``-th is written, since TensorBoard draws no more than a thousand;
    ``histograms`` writes how the parameters are distributed, after every so many epochs. The settings come as
    hyperparameters, the summary of the model as text. What is gone on with goes on in the same folder, and
    TensorBoard leaves out what a killed process had written beyond.

    Raises `MissingExtraError` where tensorboardX is not installed, and `RunFileError` where the folder cannot be
    written to, both before the first step.
    """

    def __init__(self, folder: str | Path, *, every_steps: int = 100, histograms: int | None = None) -> None:
        for name, value in (("every_steps", every_steps), ("histograms", histograms)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ConfigurationError(f"TensorBoard: {name} is a whole number above 0, not {value!r}")
        try:
            import tensorboardX
        except ImportError:
            raise MissingExtraError("tensorboardX", "tensorboard", "writing event files for TensorBoard") from None
        self.folder = Path(folder)
        self.every_steps, self.histograms = every_steps, histograms
        self._make = tensorboardX.SummaryWriter
        self._writer: Any = None
        self._told = False

    def on_start(self, training: Training) -> None:
        """Begin a file; the settings and the model are told in it."""
        step = int(training.arrays["step"])
        # Files are named by the second they were begun in; one that is begun sooner would take another's place.
        number = len([*self.folder.glob("events.out.tfevents.*")])
        purge = step + 1 if step else None
        try:
            self._writer = self._make(logdir=str(self.folder), purge_step=purge, filename_suffix=f".{number:04}")
        except OSError as error:
            raise RunFileError(f"{self.folder} could not be written: {error.strerror or error}") from error
        self._told = False
        summary = getattr(training, "summary", None)
        if summary is not None:
            self._writer.add_text("model", _verbatim(summary()), step)
        rows = "\n".join(f"{name}: {value}" for name, value in settings(training).items())
        self._writer.add_text("settings", _verbatim(rows), step)

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Write every so many steps."""
        for record in records:
            if record["step"] % self.every_steps == 0:
                for name, value in _measures(record):
                    self._writer.add_scalar(f"{name}/step", value, record["step"])

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Write the epoch, and the parameters if it is time."""
        step = int(training.arrays["step"])
        found = {}
        for name, value in _measures(record):
            held = name.startswith(_HELD)
            found[f"{name.removeprefix(_HELD)}/{'validation' if held else 'epoch'}"] = value
        for tag, value in found.items():
            self._writer.add_scalar(tag, value, step)
        if not self._told:
            self._told = True
            self._tell_settings(training, found)
        if self.histograms is not None and record["epoch"] % self.histograms == 0:
            for name, array in training.arrays.items():
                if name.startswith(f"{PARAMETERS}/"):
                    self._writer.add_histogram(name, array, step)
        self._writer.flush()

    def on_end(self, training: Training) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _tell_settings(self, training: Training, found: dict[str, float]) -> None:
        from tensorboardX.summary import hparams

        losses = {tag: value for tag, value in found.items() if tag.startswith("loss/")}
        for part in hparams(settings(training), losses):
            self._writer.file_writer.add_summary(part)


def settings(training: Training) -> dict[str, bool | int | float | str]:
    """What a training was set to, flat: "optimizer" is a name, "optimizer.learning_rate" a number."""
    found: dict[str, bool | int | float | str] = {
        "batch_size": training.batch_size, "seed": training.seed, "dtype": training.dtype,
        "engine": training.engine.name,
    }  # fmt: skip
    for name in _PARTS:
        part = getattr(training, name, None)
        if part is not None:
            found |= dict(_flat(name, part))
    return found


def _flat(name: str, part: Any) -> Iterator[tuple[str, bool | int | float | str]]:
    if isinstance(part, bool | int | float | str):
        yield name, part
    elif isinstance(part, list | tuple):
        for place, one in enumerate(part):
            yield from _flat(f"{name}.{place}", one)
    elif part is not None:
        yield name, str(getattr(part, "__name__", type(part).__name__))
        for field in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
            yield from _flat(f"{name}.{field.name}", getattr(part, field.name))


def _measures(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a record that are drawn."""
    for name, value in record.items():
        if name not in (*_UNSHOWN, "step") and isinstance(value, int | float):
            yield name, float(value)


def _verbatim(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())
