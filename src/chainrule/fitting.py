"""The face: fit a model or a step to data, prepare one, or load a saved one; each gives a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from chainrule.augmentation import Augmentation, Augmentations
from chainrule.data import Dataset, Preparation, Stream
from chainrule.engines.choose import choose
from chainrule.engines.protocol import Engine
from chainrule.errors import ConfigurationError, DataError, RunFileError
from chainrule.graph import FLOATS
from chainrule.layers.scope import STATE, AnyLayer
from chainrule.losses import Loss, cross_entropy, mean_squared_error, sequence_cross_entropy
from chainrule.optimizers import SGD, Optimizer
from chainrule.regularizers import Regularizer
from chainrule.run import Run, Weights
from chainrule.training import Callback, Step, build_step, supervised
from chainrule.training.checkpoint import CHECKPOINTS
from chainrule.training.evaluating import Metrics
from chainrule.training.feeding import Data, feed, refuse_improbable, refuse_no_data, refuse_other_inputs
from chainrule.training.feeds import staged_spec
from chainrule.training.freezing import check_patterns


def fit(
    model: AnyLayer | Step,
    train: Data,
    *,
    validation: Data | None = None,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    regularizer: Regularizer | None = None,
    augmentation: Augmentation | Sequence[Augmentation] | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    weights: Weights | None = None,
    freeze: Sequence[str] = (),
    batch_size: int | None = 32,
    seed: int = 0,
    shuffle: bool = True,
    dtype: str = "float32",
    engine: str | Engine | None = None,
    metrics: Metrics = (),
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
) -> Run:
    """Train a model (or a step of your own) on data, and give the run.

    It goes ``epochs`` times through the data, 10 times if nothing is said; ``steps`` and ``seconds`` end it earlier, or
    by themselves.
    ``batch_size`` makes it mini-batch, stochastic (1) or batch (None: all samples) gradient descent. Without ``loss``,
    labels get `losses.cross_entropy`, symbols `losses.sequence_cross_entropy` and other targets
    `losses.mean_squared_error`; without ``optimizer``, descent has
    a learning rate of 0.1 and momentum 0.9. A ``regularizer`` adds a penalty on the weights to the loss, an
    ``augmentation``, or a list of them, changes the samples that are learned from. The same seed, machine and version
    give the same bits. ``progress`` shows a line an epoch (None: on a terminal and in a notebook). ``metrics`` are
    measured on the validation data after each epoch, see `Run.evaluate`. ``weights`` are to begin with, and what
    ``freeze`` fits does not learn: see `prepare`. Data that do not lie in memory come as a
    `chainrule.data.stream`.

    Raises `ConfigurationError`, `DataError` or `ShapeError` for what does not fit, before the first step, and
    `NotFiniteError`, which names the node, at the first step that is not finite; `StreamError` where a stream breaks
    off. ``error.run`` of both is the run as far as it came.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("iris")
    >>> run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, epochs=30)
    >>> run.evaluate(test)["accuracy"] > 0.9
    True
    """
    run = prepare(
        model,
        train,
        loss=loss,
        optimizer=optimizer,
        regularizer=regularizer,
        augmentation=augmentation,
        weights=weights,
        freeze=freeze,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        dtype=dtype,
        engine=engine,
    )
    if epochs is steps is seconds is None:
        epochs = 10
    return run.fit(
        train,
        epochs=epochs,
        steps=steps,
        seconds=seconds,
        validation=validation,
        metrics=metrics,
        callbacks=callbacks,
        progress=progress,
    )


def prepare(
    model: AnyLayer | Step,
    train: Data,
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    regularizer: Regularizer | None = None,
    augmentation: Augmentation | Sequence[Augmentation] | None = None,
    weights: Weights | None = None,
    freeze: Sequence[str] = (),
    batch_size: int | None = 32,
    seed: int = 0,
    shuffle: bool = True,
    dtype: str = "float32",
    engine: str | Engine | None = None,
) -> Run:
    """A run with its first weights, before any step: to look at, to check, or to train with `Run.fit`.

    ``weights`` of another run (that, its folder, a safetensors file, or arrays by path) take the place of those drawn
    by chance wherever path and shape fit; ``run.transfer`` says which did. ``freeze`` has patterns of what does not
    learn, by the paths of layers or parameters: see `StepState.freeze`. To unfreeze is to fit anew, with the
    ``weights`` of the run before and no ``freeze``.

    >>> import chainrule as cr
    >>> train, _ = cr.data.load("iris")
    >>> body = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(6, cr.tanh))
    >>> first = cr.fit(cr.Chain(body, cr.Dense(3)), train)
    >>> again = cr.prepare(cr.Chain(body, cr.Dense(4), cr.Dense(3)), train, weights=first, freeze=["0"])
    >>> again.transfer.taken
    ('0.0.weight', '0.0.bias', '0.1.weight', '0.1.bias')

    Differs from: Keras and PyTorch, where a layer has a flag; in PyTorch a frozen batch normalisation goes on with its
    running statistics.
    """
    if dtype not in FLOATS:
        raise ConfigurationError(f"dtype is {' or '.join(FLOATS)}, not {dtype!r}")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ConfigurationError(f"seed is a whole number from 0 to 2³² - 1, not {seed!r}")
    refuse_no_data(train)
    prepared = train.preparation if isinstance(train, Dataset | Stream) else Preparation()
    classes = train.classes if isinstance(train, Dataset | Stream) else None
    if batch_size is None and isinstance(train, Stream):
        raise ConfigurationError("batch_size=None takes all samples at once, and a stream is never there at once")
    spec, _ = feed(train, prepared, classes)
    sample = train.head if isinstance(train, Stream) else train
    size = spec.samples if batch_size is None else batch_size
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ConfigurationError(f"batch_size is a whole number above 0, or None for all samples, not {batch_size!r}")
    common: dict[str, Any] = {"engine": choose(engine), "batch_size": size, "dtype": dtype, "seed": seed}
    name = train.name if isinstance(train, Dataset | Stream) else ""
    common |= {"preparation": prepared, "classes": classes, "name": name, "frozen": check_patterns(freeze)}
    if isinstance(model, Step):
        if any(part is not None for part in (loss, optimizer, regularizer, augmentation)):
            raise ConfigurationError(
                "a step of your own has its losses, optimizers, penalties and augmentation inside; give fit none"
            )
        run = Run(model, **common)
    else:
        if isinstance(model, type) or not (hasattr(model, "apply") or callable(model)):
            raise ConfigurationError(f"a model is a layer, such as Chain(Dense(64, relu), Dense(10)), not {model!r}")
        if not isinstance(sample, Dataset):
            raise DataError("a model is fitted to a Dataset; chainrule.data.from_arrays(inputs, targets) makes one")
        if sample.targets is None:
            raise DataError("to fit a model, the data needs targets; a step of your own can do without")
        if sample is train:  # the beginning of a stream may be all of one class
            sample.check_trainable()
        if loss is None and sample.symbolic:
            loss = sequence_cross_entropy
        loss = loss or (cross_entropy if sample.labels is not None else mean_squared_error)
        optimizer = optimizer or SGD(learning_rate=0.1, momentum=0.9)
        if not isinstance(loss, Loss):
            raise ConfigurationError(f"a loss is one of chainrule.losses, such as cross_entropy, not {loss!r}")
        if isinstance(optimizer, type) or not hasattr(optimizer, "apply"):
            raise ConfigurationError(
                f"an optimizer is one of chainrule.optimizers, such as SGD(learning_rate=0.1), not {optimizer!r}"
            )
        if isinstance(augmentation, list | tuple):
            augmentation = Augmentations(*augmentation)
        for kind, part, example in (
            ("regularizer", regularizer, "L2(1e-4)"),
            ("augmentation", augmentation, "Mixup(0.2)"),
        ):
            if part is not None and (isinstance(part, type) or not hasattr(part, "apply")):
                place = "regularizers" if kind == "regularizer" else kind
                raise ConfigurationError(f"{kind} is one of chainrule.{place}, such as {example}, not {part!r}")
        refuse_improbable(sample, loss)
        refuse_other_inputs(model, sample.inputs, prepared)
        parts: dict[str, Any] = {"model": model, "loss": loss, "optimizer": optimizer}
        parts |= {"regularizer": regularizer, "augmentation": augmentation}
        run = Run(supervised(**parts), **parts, **common)
    run.shuffle = shuffle
    run.spec = spec
    size = min(size, spec.samples)
    fed = staged_spec(spec, train, size) if isinstance(train, Stream) else spec
    if spec.samples % size == 1:
        # A last batch of one sample is what a step may refuse: now, not at the end of the first epoch.
        build_step(run.step, fed, 1, dtype)
    run.graph(fed, size)
    if weights is not None:
        from chainrule.formats.weights import take_weights

        run.transfer = take_weights(run, weights, run.frozen)
    built, _ = run.built(fed, size)
    last = spec.samples % size
    if last and any(one.name.startswith(STATE) and one.shape[:1] == (size,) for one in built.declared.values()):
        run.graph(fed, last)  # what is carried from batch to batch is refused a smaller one before the first step
    return run


def load(
    folder: str | Path,
    *,
    checkpoint: str = "",
    custom: Iterable[Any] = (),
    step: Step | None = None,
    engine: str | Engine | None = None,
) -> Run:
    """A run that was saved; classes and functions of your own come as ``custom``, a step of your own as ``step``.

    ``checkpoint`` names one of those that `chainrule.training.Checkpoint` keeps besides the last: "best", "epoch-50",
    "step-1200". Nothing in the folder is executed. Raises `RunFileError` for a folder that is missing, damaged or of
    another kind.
    """
    from chainrule.formats.checking import check_state
    from chainrule.formats.runs import load_run

    path = Path(folder)
    if not path.is_dir():
        raise RunFileError(f"there is no folder {path}")
    if checkpoint:
        path = _checkpoint(path, checkpoint)
    found = load_run(path, tuple(custom))
    settings = found.settings
    common = {name: settings[name] for name in ("batch_size", "dtype", "seed", "name")}
    common["frozen"] = tuple(settings.get("freeze", ()))
    common |= {"preparation": found.preparation, "classes": found.classes, "spec": found.spec}
    if found.model is not None:
        parts = {"model": found.model, "loss": found.loss, "optimizer": found.optimizer}
        parts |= {"regularizer": found.regularizer, "augmentation": found.augmentation}
        run = Run(supervised(**parts), engine=choose(engine), **parts, **common)
    elif step is None:
        raise RunFileError(
            f"{path} was trained by a step of your own, {settings['step']}; give it: load(…, step={settings['step']})"
        )
    else:
        run = Run(step, engine=choose(engine), **common)
    arrays = found.arrays
    if found.spec is not None:
        try:
            arrays = check_state(run.step, found.spec, settings, arrays)
        except RunFileError as error:
            raise RunFileError(f"{path} cannot be used: {error}") from error
    run.arrays, run.numbers, run.history = arrays, found.numbers, found.history
    run.source, run.made_with = found.source, found.made_with
    run.epoch, run.offset, run.shuffle, run.stopped = (
        found.epoch,
        found.offset,
        bool(settings["shuffle"]),
        settings["stopped"],
    )
    run.restore_callbacks(found.callbacks)
    return run


def _checkpoint(folder: Path, name: str) -> Path:
    from chainrule.formats.folder import is_run

    there = sorted(path.name for path in (folder / CHECKPOINTS).glob("[!.]*") if is_run(path))
    if name not in there:
        known = f"there are {', '.join(there)}" if there else "none is kept besides the last"
        raise RunFileError(f"{folder} has no checkpoint {name!r}; {known}")
    return folder / CHECKPOINTS / name
