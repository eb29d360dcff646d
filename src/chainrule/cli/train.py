"""`chainrule train`: data in; a trained, measured and saved run out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chainrule.cli.arguments import EngineName, Quiet
from chainrule.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from chainrule.cli.training import Plan

_EXAMPLES = ("digits", "iris.csv --target species", "mnist --hidden 300 --activation sigmoid")

#: What --resume takes from the run itself.
_FIXED = (
    "target", "ignore", "task", "model", "hidden", "activation", "batch_norm", "dropout", "loss", "label_smoothing",
    "l1", "l2", "class_weights", "optimizer", "learning_rate", "schedule", "warmup", "momentum", "nesterov",
    "batch_size", "seed", "dtype", "validation", "output", "size", "colour", "fit", "skip_damaged", "augment", "text",
    "tokens", "length", "buckets", "weights", "freeze",
)  # fmt: skip


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            show_default=False,
            metavar="DATA",
            help="digits, iris, xor, mnist, fashion-mnist, tinyshakespeare, thucnews-titles or chinese-poetry; or a "
            "file: .csv, .tsv, .npz or .txt; or a folder of images, with a folder for each class.",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of a table to predict from the others.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out, such as an id; repeatable.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="classification or regression, if the target is taken for the wrong one; or language-model, "
            "for a text.",
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of a table that holds texts to predict from.")
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="What texts are cut into: characters, words, chinese-words or byte-pairs, and for classes "
            "character-pairs too.  [default: characters]",
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Tokens a sample has.  [default: of a language 64, of a table's texts the longest]"
        ),
    ] = None,
    buckets: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Lengths to which batches of short texts are cut while learning, such as 8,16; or none.  "
            "[default: halves of the length, where that saves a quarter]",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Bring all images of a folder to this height and width, such as 32x32."),
    ] = None,
    colour: Annotated[
        str | None, typer.Option(metavar="NAME", help="grey or rgb.  [default: grey if all images are]")
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="How an image comes to --size: crop or stretch.  [default: crop, what stands over]"
        ),
    ] = None,
    skip_damaged: Annotated[
        bool | None, typer.Option("--skip-damaged", help="Leave out image files that cannot be read, and say which.")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=N,…",
            help="Change images while learning: shift=2,rotate=15; shift, rotate, zoom, shear, flip, crop, elastic, "
            "brightness, contrast, colour, cutout, noise, mixup, cutmix.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A network for images: simple_cnn, lenet5, resnet20 or mobile; for text: lstm, gru or transformer, "
            "and for classes averaged_embeddings or text_cnn too; or a file that describes one, .toml, "
            "or .py, which is run.  [default: dense layers, by the options below]",
        ),
    ] = None,
    hidden: Annotated[
        list[str] | None,
        typer.Option(metavar="N,N,…", help="Units of each hidden layer: 64, or 500,150, or none.  [default: 64]"),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="relu, sigmoid, tanh, leaky_relu or identity.  [default: relu]"),
    ] = None,
    batch_norm: Annotated[
        bool | None, typer.Option("--batch-norm", help="Normalise what goes into each hidden activation by the batch.")
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(metavar="PART", help="Part of the hidden units that each step leaves out, such as 0.2."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|FILE",
            help="Begin with the weights of another run, or of a .safetensors file, where path and shape fit.",
        ),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help='Layers that stay as they are, by their paths: 0, or "1.*", or "*.bias"; repeatable.',
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="cross_entropy, binary_cross_entropy, hinge, mean_squared_error, half_squared_error, "
            "mean_absolute_error or huber.  [default: cross_entropy for classes, mean_squared_error for numbers]",
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(metavar="PART", help="Part of each label that is spread over all classes, such as 0.1."),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="balanced: each class counts alike, however many samples it has."),
    ] = None,
    l1: Annotated[
        float | None, typer.Option("--l1", metavar="NUMBER", help="Add this times the sum of |weight| to the loss.")
    ] = None,
    l2: Annotated[
        float | None,
        typer.Option("--l2", metavar="NUMBER", help="Add half of this times the sum of weight² to the loss."),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="sgd, adam, adamw, amsgrad, nadam, adamax, rmsprop, adagrad, adadelta, lion, or, with "
            "--batch-size all, rprop or delta_bar_delta.  [default: sgd]",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="How far a step goes.  [default: for sgd 0.1, for numbers as targets 0.01; for others their "
            "own, for adam 0.001]",
        ),
    ] = None,
    momentum: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER", help="Momentum of sgd or rmsprop, from 0 to below 1.  [default: 0.9, for rmsprop 0]"
        ),
    ] = None,
    nesterov: Annotated[bool | None, typer.Option("--nesterov", help="Momentum in Nesterov's form.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How the learning rate goes down until the last epoch: constant, step, exponential, inverse_time, "
            "linear, cosine, warm_restarts or one_cycle.  [default: constant]",
        ),
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(metavar="EPOCHS", help="How long the learning rate goes up at first, such as 2 or 0.5."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How often to go through the training data, in all.  [default: 30, unless --max-… is given]",
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(metavar="N", help="Samples a step: 1 is stochastic, all is batch descent.  [default: 32]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Chooses first weights, order, and what is held out.  [default: 0]")
    ] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help="float32 or float64.  [default: float32]")] = None,
    validation: Annotated[
        float | None,
        typer.Option(
            metavar="PART", help="Part of the training data that is held out to watch by, 0 for none.  [default: 0.1]"
        ),
    ] = None,
    stop_loss: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Stop when the training loss is this small.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Stop when the validation loss has not improved for N epochs; the best epoch is kept."
        ),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(metavar="N", help="Stop with this step, counted from the beginning of the run.")
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stop after so long: 90s, 10m, 1h30m; counted anew by --resume.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(metavar="N", help="Keep the last N checkpoints, in RUN/checkpoints.  [default: 1]")
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Keep the checkpoint of the best epoch by a column such as validation_loss as well."
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write event files for TensorBoard into a folder as well.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Folder for the run.  [default: runs/NAME-1, -2, …]")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was interrupted, or with more --epochs.")
    ] = None,
    engine: EngineName = None,
    quiet: Quiet = False,
) -> None:
    """Train a network on data, say how well it does, and save it.

    A tenth of the training data is held out and measured after each epoch: the
    columns under "validation". The test part is measured once, at the end, and
    never chooses anything; it is the same for every --seed.

    \b
    Examples:
      chainrule train digits
      chainrule train iris.csv --target species
      chainrule train houses.csv --target price --ignore id --hidden 32,32
      chainrule train mnist --hidden 300 --activation sigmoid
      chainrule train PHOTOS/ --size 32x32 --augment flip,shift=2
      chainrule train mnist --model simple_cnn --optimizer adam --epochs 5
      chainrule train digits --weights runs/digits-1 --freeze 0
      chainrule train notes.txt --task language-model          then: generate
      chainrule train headlines.tsv --text title --target class
      chainrule train digits --batch-size all --epochs 200     batch descent
      chainrule train digits --optimizer adam --patience 5     stop in time
      chainrule train digits --batch-norm --dropout 0.2 --l2 1e-4
      chainrule train digits --schedule cosine --warmup 2
      chainrule train digits --max-time 10m                    ten minutes of it
      chainrule train --resume runs/digits-1 --epochs 60       30 epochs more

    A schedule is made for the epochs that are asked for when a run begins; with
    more of them later, its learning rate goes on as it then says: that of cosine,
    linear and one_cycle stays where it came to.

    Every ten seconds the run is saved, and at its end. Ctrl-C saves it and says
    how to go on; going on, after a kill too, ends with the same bits as never
    having stopped.
    """
    options = dict(locals())
    from chainrule.cli.choices import duration, engine_name
    from chainrule.cli.running import spelled
    from chainrule.cli.training import Plan, finish, go_on, start
    from chainrule.training import TensorBoard

    typed = spelled("train", options)
    watching = [] if tensorboard is None else [TensorBoard(tensorboard)]
    used = engine_name(engine)
    given = {name: value for name, value in locals().items() if name in _FIXED and value is not None}
    lasting = {"epochs": epochs, "patience": patience, "stop_loss": stop_loss, "engine": used}
    lasting |= {"max_steps": max_steps, "max_time": duration("--max-time", max_time), "keep": keep, "best": best}
    if resume is not None:
        if data is not None or given:
            named = "DATA" if data is not None else "--" + next(iter(given)).replace("_", "-")
            raise ConfigurationError(
                f"--resume goes on as the run began, so {named} cannot be given with it; "
                "--epochs, --patience, --stop-loss, --max-steps, --max-time, --keep, --best, --tensorboard "
                "and --engine can"
            )
        raise typer.Exit(finish(go_on(resume, lasting, typed, quiet), watching))
    if data is None:
        raise DataError(
            "train on what? Name the data:\n" + "\n".join(f"  chainrule train {example}" for example in _EXAMPLES)
        )
    plan: Plan = Plan.of({**lasting, "validation": validation, "class_weights": class_weights})
    kept = ("validation", "class_weights", "output")
    settings: dict[str, Any] = {name: value for name, value in given.items() if name not in kept}
    raise typer.Exit(finish(start(data, settings, plan, output, typed, quiet), watching))
