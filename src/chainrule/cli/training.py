"""A training from the command line: begun or gone on with, watched, kept, and told about at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli import choices
from chainrule.cli.exits import INTERRUPTED, MISTAKE, TERMINATED
from chainrule.cli.imaging import image_options, make_augmentation, wants_images
from chainrule.cli.models import named_model
from chainrule.cli.running import claim_folder, command, open_run, termination
from chainrule.cli.screen import say
from chainrule.cli.sources import hold_out, not_counted_again, open_data, refuse_unlabelled, reopen, spread_over
from chainrule.cli.texts import is_file, some_of, text_model, text_options
from chainrule.errors import ChainruleError, ConfigurationError, NotFiniteError, RunFileError, StreamError

if TYPE_CHECKING:
    from chainrule.data import Dataset, Stream
    from chainrule.engines.protocol import Engine
    from chainrule.run import Run
    from chainrule.training import Callback


#: As many epochs as nobody waits for: a budget ends the training.
_ENDLESS = 10**9


@dataclass(frozen=True)
class Plan:
    """How long to train, on what, and what to hold out: kept with the run, so that going on needs no options."""

    #: None: as many as nothing else ends, or 30 if nothing else would.
    epochs: int | None = None
    max_steps: int | None = None
    #: In seconds, of each call.
    max_time: float | None = None
    patience: int | None = None
    stop_loss: float | None = None
    validation: float = 0.1
    class_weights: str | None = None
    #: Only one that was named is kept: its last digits are not another's.
    engine: str | None = None
    #: How many checkpoints to keep, and by which column that of the best epoch.
    keep: int | None = None
    best: str | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "max_steps", "patience", "keep"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= 10**9:
                raise ConfigurationError(f"--{name.replace('_', '-')} is a whole number above 0, not {value}")
        choices.finite("--stop-loss", self.stop_loss)
        if not 0 <= self.validation < 1:
            raise ConfigurationError(
                f"--validation is a part of the training data, from 0 to below 1, not {self.validation:g}"
            )
        choices.engine_name(self.engine)
        if self.class_weights is not None:
            choices.one_of("--class-weights", self.class_weights, choices.CLASS_WEIGHTS)

    @property
    def last_epoch(self) -> int | None:
        """The epoch to end with, or None if only the budget ends it."""
        budget = self.max_steps is not None or self.max_time is not None
        return self.epochs if self.epochs is not None or budget else 30

    def last_step(self, steps_per_epoch: int) -> int | None:
        """The step to end with, or None if only the time ends it."""
        last = [] if self.last_epoch is None else [self.last_epoch * steps_per_epoch]
        return min([*last, *([] if self.max_steps is None else [self.max_steps])], default=None)

    @classmethod
    def of(cls, settings: Mapping[str, Any], base: Plan | None = None) -> Plan:
        """A plan with what was given, and the rest from another plan or the defaults."""
        return dataclasses.replace(base or cls(), **{k: v for k, v in settings.items() if v is not None})

    @classmethod
    def read(cls, run: Run, folder: Path) -> Plan:
        """The plan that a run was begun with."""
        found = run.source.get("training", {})
        try:
            kinds: Mapping[str, Callable[[Any], Any]] = {
                "epochs": int, "max_steps": int, "max_time": float, "patience": int, "stop_loss": float,
                "validation": float, "engine": str, "class_weights": str, "keep": int, "best": str,
            }  # fmt: skip
            return cls(**{name: kinds[name](value) for name, value in found.items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunFileError(f"{folder}: the table [source.training] of run.toml is damaged ({error})") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for run.toml."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass
class Session:
    """A run that is to be trained, with its data and its folder."""

    run: Run
    folder: Path
    plan: Plan
    part: Dataset | Stream
    validation: Dataset | None
    test: Dataset | Stream
    quiet: bool


def start(data: str, settings: Mapping[str, Any], plan: Plan, output: Path | None, typed: str, quiet: bool) -> Session:
    """A new run: the data found and recognised, the model made, the folder claimed."""
    from chainrule.cli.telling import tell_data, tell_model

    run, (part, validation, test) = untrained(data, settings, plan, plan.engine)
    run.source |= {"training": plan.to_dict(), "commands": [typed]}
    folder = claim_folder(output, run.name)
    run.save(folder)  # what cannot be written to is found before the training, not after it
    if not quiet:
        tell_data(part, validation, test)
        tell_model(run, plan)
    return Session(run, folder, plan, part, validation, test, quiet)


def untrained(
    data: str, settings: Mapping[str, Any], plan: Plan, engine: str | Engine | None
) -> tuple[Run, tuple[Dataset | Stream, Dataset | None, Dataset | Stream]]:
    """A run before its first step, of what the options say, and its data: to train on, held out, and for the test."""
    from chainrule.fitting import prepare
    from chainrule.optimizers.schedules import steps_per_epoch

    task = settings.get("task")
    hidden = choices.hidden_sizes(settings.get("hidden", ["64"]))
    activation = choices.one_of("--activation", settings.get("activation", "relu"), choices.ACTIVATIONS)
    size = choices.batch_size(settings.get("batch_size", "32"))
    dtype = choices.one_of("--dtype", settings.get("dtype", "float32"), choices.DTYPES)
    task = None if task is None else choices.one_of("--task", task, choices.TASKS)
    changes = make_augmentation(settings.get("augment"))
    train, test, source = open_data(
        data,
        settings.get("target"),
        settings.get("ignore", []),
        task,
        images=image_options(settings),
        as_images=wants_images(changes),
        text=text_options(settings, data),
    )
    if train.preparation.images is not None:
        refuse_unlabelled(train, data)
    known = some_of(train)
    train.check_trainable()
    seed = settings.get("seed", 0)
    if not 0 <= seed < 2**32:
        raise ConfigurationError(f"--seed is a whole number from 0 to 4294967295, not {seed}")
    part, validation = _divided(train, plan, seed)
    loss = choices.make_loss(known, settings.get("loss"), settings.get("label_smoothing"))
    wanted = [settings.get(name) for name in ("optimizer", "learning_rate", "momentum", "nesterov")]
    if train.preparation.symbols and wanted[0] is None:
        wanted[0] = "adam"  # rows of symbols that are rare hardly move at a rate that all others bear
    optimizer = choices.make_optimizer(loss, train.classes is not None, *wanted)
    each = steps_per_epoch(part, size)
    optimizer = choices.schedule_rate(
        optimizer, settings.get("schedule"), settings.get("warmup"), each, plan.last_step(each)
    )
    if train.preparation.symbols and not is_file(settings.get("model")):
        model = text_model(settings.get("model"), known, settings)
    elif "model" in settings:
        model = named_model(settings["model"], known, choices.count_outputs(known, loss), settings)
    else:
        dropout, normalised = settings.get("dropout"), bool(settings.get("batch_norm"))
        model = choices.make_model(known, hidden, activation, loss, dropout, batch_norm=normalised)
    run = prepare(
        model,
        part,
        loss=loss,
        optimizer=optimizer,
        regularizer=choices.make_regularizer(settings.get("l1"), settings.get("l2")),
        augmentation=changes or None,
        weights=settings.get("weights"),
        freeze=settings.get("freeze", ()),
        batch_size=size,
        seed=seed,
        dtype=dtype,
        engine=engine,
    )
    run.name = Path(data).stem
    run.source = source
    return run, (part, validation, test)


def _divided(train: Dataset | Stream, plan: Plan, seed: int) -> tuple[Dataset | Stream, Dataset | None]:
    """What is trained on, with the weights of its classes, and what is held out."""
    part, validation = hold_out(train, plan.validation, seed)
    if plan.class_weights is None:
        return part, validation
    if part.labels is None:
        raise ConfigurationError("--class-weights is for classes, and the target is a number to be predicted")
    return part.weigh_classes(), validation


def go_on(folder: Path, lasting: Mapping[str, Any], typed: str, quiet: bool) -> Session:
    """A run that was saved, with the data it was trained on, as it was; ``lasting`` is what is new about its plan."""
    from chainrule.engines.choose import choose

    run = open_run(folder, lasting.get("engine"))
    if run.model is None:
        raise RunFileError(f"{folder} was trained by a step of its own; go on with it in Python, by load(…).fit(…)")
    old = Plan.read(run, folder)
    plan = Plan.of(lasting, old)
    if plan.engine is not None:
        run.engine = choose(plan.engine)
    train, test = reopen(run, folder)
    part, validation = _divided(train, plan, run.seed)
    if run.spec is not None:
        part = not_counted_again(part, run.spec.samples)
    last, steps = plan.last_epoch, int(run.arrays["step"])
    if last is not None and run.epoch + (0.5 if run.offset else 0) >= last:
        more = command("train", "--resume", folder, "--epochs", run.epoch + last)
        raise ConfigurationError(f"{folder} has done its {run.epoch} epochs. To give it more: {more}")
    if plan.max_steps is not None and steps >= plan.max_steps:
        more = command("train", "--resume", folder, "--max-steps", steps + plan.max_steps)
        raise ConfigurationError(f"{folder} has done its {steps:,} steps. To give it more: {more}")
    before = run.source.get("commands")
    commands = [*before, typed] if isinstance(before, list) else [typed]
    run.source = {**run.source, "training": plan.to_dict(), "commands": commands}
    different = run.differences()
    run.made_with = {}
    run.save(folder)  # what cannot be written to is found before the training, not after it
    if different:
        say(different, error=True)
    if not quiet:
        up_to = "" if last is None else f", up to epoch {last}"
        say(f"Going on with {folder} after {_place(run, part)}{up_to}.{_told_schedule(run, part, old, plan)}\n")
    return Session(run, folder, plan, part, validation, test, quiet)


def _told_schedule(run: Run, part: Dataset | Stream, old: Plan, plan: Plan) -> str:
    """What becomes of a schedule that was made for fewer steps than there are to be."""
    from chainrule.optimizers.schedules import Schedule, steps_per_epoch

    rate = getattr(run.optimizer, "learning_rate", None)
    each = steps_per_epoch(part, run.batch_size)
    before, last = old.last_step(each), plan.last_step(each)
    if not isinstance(rate, Schedule) or before is None or (last is not None and last <= before):
        return ""
    at = "from there on" if last is None else "at the end now"
    value = float(rate.values([(last or before) - 1])[0])
    return (
        f"\nIts learning rate, {choices.told_number(rate)}, was made for {before:,} steps; {at} it is {value:.3g}."
        + " So small a rate changes nothing any more." * (value == 0)
    )


def finish(session: Session, watching: Sequence[Callback] = ()) -> int:
    """Train, save, and say how it went; the exit code."""
    from chainrule.cli.results import tell_results
    from chainrule.cli.telling import tell_next
    from chainrule.report import write_report
    from chainrule.training import Checkpoint, StopAfter

    run, folder, plan = session.run, session.folder, session.plan
    saving = Checkpoint(folder, every_seconds=10, keep=plan.keep or 1, best=plan.best, tell=partial(say, error=True))
    budget = StopAfter(steps=plan.max_steps, seconds=plan.max_time)
    try:
        with termination() as requests:
            run.fit(
                session.part,
                epochs=plan.last_epoch or _ENDLESS,
                validation=session.validation,
                callbacks=[*_callbacks(session), *watching, budget, saving],
                progress=False,
            )
    except NotFiniteError as error:
        raise NotFiniteError(
            f"{error}.\nA smaller --learning-rate is the first thing to try: this run had "
            f"{choices.told_optimizer(run.optimizer)}. What it was before this step is in {saving.saved or folder}"
        ) from error
    except StreamError as error:
        again = command("train", "--resume", saving.saved or folder)
        images = session.part.preparation.images is not None
        raise StreamError(
            f"{error}.\nThe run is saved in {saving.saved or folder} as it is after {_place(run, session.part)}. When "
            f"the {'image' if images else 'text'} is what it was again: {again}"
            + "\nOr begin anew with --skip-damaged, which leaves out what cannot be read"
            * images
        ) from error
    if run.stopped == "interrupted":
        return _tell_interrupted(session, saving.saved, bool(requests))
    saved = saving.saved or folder
    if not session.quiet:
        say()
    try:
        worst = tell_results(run, session.test, "Test", brief=session.quiet, baseline=session.part)
        looked_at = spread_over(session.test)
    except StreamError as error:
        raise StreamError(
            f"{error}.\nThe run is trained, and saved in {saved}. When the image is what it was again: "
            f"{command('evaluate', saved)}"
        ) from error
    report: Path | None = None
    try:
        part = "" if looked_at is session.test else f"{len(looked_at):,} of the {len(session.test):,} samples of "
        report = write_report(run, saved, looked_at, f"{part}the test part, which took no part in the training")
    except (ChainruleError, OSError) as error:  # the run is there, whatever becomes of the page about it
        say(f"there is no report: {error}", error=True)
    if session.quiet:
        say(f"saved in {saved}")
    else:
        tell_next(run, saved, report, looked_at, worst if looked_at is session.test else None)
    if budget.spent:
        more = ["--max-steps", 2 * plan.max_steps] if plan.max_steps and len(run.history) >= plan.max_steps else []
        say(f"Stopped, since {run.stopped.partition(';')[0]}. To go on:", error=True)
        say(f"  {command('train', '--resume', saved, *more)}", error=True)
    return 0 if saved == folder else MISTAKE


def _callbacks(session: Session) -> list[Callback]:
    """What stops it, and what shows it."""
    from chainrule.training import StopAtLoss, StopWithoutImprovement
    from chainrule.training.progress import Progress

    plan = session.plan
    found: list[Callback] = []
    if plan.patience is not None:
        found.append(StopWithoutImprovement(plan.patience, restore_best=True))
    if plan.stop_loss is not None:
        found.append(StopAtLoss(plan.stop_loss))
    if not session.quiet:
        found.append(Progress(plan.last_epoch, len(session.part)))
    return found


def _tell_interrupted(session: Session, saved: Path | None, terminated: bool) -> int:
    again = command("train", "--resume", saved or session.folder)
    if saved is not None:
        place = _place(session.run, session.part)
        say(f"The run is saved in {saved} as it is after {place}. To go on:", error=True)
    else:
        say(f"A step was cut in two, so {session.folder} holds the run as it was last saved. To go on:", error=True)
    say(f"  {again}", error=True)
    return TERMINATED if terminated else INTERRUPTED


def _place(run: Run, part: Dataset | Stream) -> str:
    epochs = f"{run.epoch} epoch{'' if run.epoch == 1 else 's'}"
    return epochs + (f" and {run.offset:,} of {len(part):,} samples" if run.offset else "")
