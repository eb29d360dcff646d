"""Words of the command line as layers, losses and optimizers; an unknown one is answered with those there are."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from chainrule.errors import ConfigurationError

if TYPE_CHECKING:
    from chainrule.data import Dataset
    from chainrule.layers import AnyLayer
    from chainrule.losses import Loss
    from chainrule.optimizers import Optimizer
    from chainrule.regularizers import Regularizer

T = TypeVar("T")

ACTIVATIONS = ("relu", "sigmoid", "tanh", "leaky_relu", "identity")
LOSSES = (
    "cross_entropy", "binary_cross_entropy", "hinge", "mean_squared_error", "half_squared_error", "mean_absolute_error",
    "huber",
)  # fmt: skip
CLASS_WEIGHTS = ("balanced",)
#: Names for --optimizer, and the classes in chainrule.optimizers.
OPTIMIZERS = {
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "amsgrad": "AMSGrad", "nadam": "NAdam", "adamax": "Adamax",
    "rmsprop": "RMSprop", "adagrad": "AdaGrad", "adadelta": "Adadelta", "lion": "Lion", "rprop": "Rprop",
    "delta_bar_delta": "DeltaBarDelta", "evolution_strategy": "EvolutionStrategy",
}  # fmt: skip
#: Names for --schedule.
SCHEDULES = (
    "constant", "step", "exponential", "inverse_time", "linear", "cosine", "warm_restarts", "one_cycle",
)  # fmt: skip
DTYPES = ("float32", "float64")
TASKS = ("classification", "regression", "language_model")
_LARGEST_LAYER = 1_000_000


def one_of(option: str, value: str, known: Sequence[str]) -> str:
    """The name that was meant, in whatever case and with - or _."""
    name = value.strip().lower().replace("-", "_").replace(" ", "_")
    if name in known:
        return name
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.5)
    near = f"did you mean {close[0]}? " if close else ""
    raise ConfigurationError(f"{option} {value!r} is not known: {near}there are {', '.join(known)}")


def engine_name(value: str | None) -> str | None:
    """The engine that was asked for, or None for the usual one."""
    from chainrule.engines.choose import NAMES

    return None if value is None else one_of("--engine", value, NAMES)


def hidden_sizes(values: Sequence[str]) -> tuple[int, ...]:
    """Sizes of hidden layers from "64", "500,150", or several of these; "none" is no hidden layer.

    >>> hidden_sizes(["500,150"]), hidden_sizes(["none"])
    ((500, 150), ())
    """
    texts = [text.strip() for value in values for text in value.split(",")]
    if [text.lower() for text in texts] in (["none"], ["0"]):
        return ()
    sizes = []
    for text in texts:
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LARGEST_LAYER:
            raise ConfigurationError(
                f"--hidden {','.join(texts)}: {text!r} is not a number of units from 1 to {_LARGEST_LAYER:,}; "
                "write 64, or 500,150 for two layers, or none"
            )
        sizes.append(int(text))
    return tuple(sizes)


def batch_size(value: str) -> int | None:
    """A number of samples, or None for "all".

    >>> batch_size("32"), batch_size("all")
    (32, None)
    """
    text = value.strip().lower()
    if text == "all":
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ConfigurationError(f"--batch-size {value!r} is neither a whole number above 0 nor all")
    return int(text)


def finite(option: str, value: float | None) -> float | None:
    """A number that is one."""
    if value is not None and not math.isfinite(value):
        raise ConfigurationError(f"{option} is a finite number, not {value:g}")
    return value


def make_model(
    data: Dataset,
    hidden: Sequence[int],
    activation: str,
    loss: Loss,
    dropout: float | None = None,
    *,
    batch_norm: bool = False,
) -> AnyLayer:
    """Dense layers of these sizes, normalised and thinned out as asked, and a linear one as the loss wants it."""
    from chainrule.initializers import He
    from chainrule.layers import BatchNorm, Chain, Dense, Dropout, Flatten

    rate = dropout or 0.0
    if not 0 <= rate < 1:
        raise ConfigurationError(f"--dropout is a part of the units, from 0 to below 1, such as 0.2, not {rate:g}")
    if not hidden and (rate or batch_norm):
        raise ConfigurationError(f"{'--dropout' if rate else '--batch-norm'} wants hidden layers, and there are none")
    function = _activations()[activation]
    weight = He() if "relu" in activation else None
    layers: list[AnyLayer] = [Flatten()] if len(data.sample_shape) > 1 else []
    for size in hidden:
        layers += (
            [Dense(size, bias=False, weight=weight), BatchNorm(), function] if batch_norm else [Dense(size, function)]
        )
        layers += [Dropout(rate)] if rate else []
    return Chain(*layers, Dense(count_outputs(data, loss)))


def make_regularizer(l1: float | None, l2: float | None) -> Regularizer | None:
    """The penalty on weights that was asked for."""
    from chainrule.regularizers import L1, L2, ElasticNet

    for name, rate in (("--l1", l1), ("--l2", l2)):
        if rate is not None and not 0 <= rate < math.inf:
            raise ConfigurationError(f"{name} is a number of 0 or more, such as 0.0001, not {rate:g}")
    if l1 and l2:
        return ElasticNet(l1, l2)
    return L1(l1) if l1 else L2(l2) if l2 else None


def make_loss(data: Dataset, name: str | None, smoothing: float | None = None) -> Loss:
    """The loss of this name, if it suits the targets; without a name, the usual one."""
    from chainrule import losses

    classes = data.classes
    if data.symbolic:
        if name is not None or smoothing is not None:
            raise ConfigurationError(
                f"{'--loss' if name is not None else '--label-smoothing'} is for classes and numbers, and these "
                "data are a text to tell the next token of"
            )
        return losses.sequence_cross_entropy
    name = one_of("--loss", name or ("mean_squared_error" if classes is None else "cross_entropy"), LOSSES)
    if classes is None and ("entropy" in name or name == "hinge"):
        raise ConfigurationError(
            f"--loss {name} is for classes, and the target is a number to be predicted; use mean_squared_error"
        )
    if classes is not None and name == "binary_cross_entropy" and len(classes) != 2:
        raise ConfigurationError(
            f"--loss binary_cross_entropy is for two classes, and there are {len(classes)}; use cross_entropy"
        )
    found: Loss = getattr(losses, name)
    if smoothing is None:
        return found
    if not isinstance(found, losses.CrossEntropy | losses.BinaryCrossEntropy):
        raise ConfigurationError(f"--label-smoothing belongs to cross_entropy and binary_cross_entropy, not to {name}")
    if not 0 <= smoothing < 1:
        raise ConfigurationError(f"--label-smoothing is a part, from 0 to below 1, such as 0.1, not {smoothing:g}")
    return type(found)(smoothing)


def make_optimizer(
    loss: Loss,
    classes: bool,
    name: str | None,
    learning_rate: float | None,
    momentum: float | None,
    nesterov: bool | None,
) -> Optimizer:
    """Descent with momentum 0.9 and a learning rate that suits the loss, or the optimizer that was asked for."""
    from chainrule import optimizers
    from chainrule.losses import HalfSquaredError

    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise ConfigurationError(f"--learning-rate is a number above 0, such as 0.1, not {learning_rate:g}")
    if momentum is not None and not 0 <= momentum < 1:
        raise ConfigurationError(f"--momentum is a number from 0 to below 1, such as 0.9, not {momentum:g}")
    if nesterov and momentum == 0:
        raise ConfigurationError("--nesterov is a form of momentum, so it wants a --momentum above 0")
    chosen = one_of("--optimizer", name or "sgd", list(OPTIMIZERS))
    if chosen != "sgd":
        if nesterov or (momentum is not None and chosen != "rmsprop"):
            raise ConfigurationError(
                f"--momentum belongs to --optimizer sgd and rmsprop, --nesterov to sgd; {OPTIMIZERS[chosen]} has "
                + ("no Nesterov's form" if chosen == "rmsprop" else "its own way")
            )
        given = {"learning_rate": learning_rate, "momentum": momentum}
        settings = {setting: value for setting, value in given.items() if value is not None}
        found: Optimizer = getattr(optimizers, OPTIMIZERS[chosen])(**settings)
        return found
    # The gradient of a squared error grows with the error; that of an entropy never exceeds the inputs.
    usual = 0.1 if classes and not isinstance(loss, HalfSquaredError) else 0.01
    return optimizers.SGD(
        usual if learning_rate is None else learning_rate, 0.9 if momentum is None else momentum, bool(nesterov)
    )


def schedule_rate(
    optimizer: Optimizer, name: str | None, warmup: float | None, steps_per_epoch: int, steps: int | None
) -> Optimizer:
    """The optimizer with its learning rate by a schedule of this name, made for so many steps, and warmed up."""
    from chainrule.optimizers.schedules import Warmup

    if name is None and warmup is None:
        return optimizer
    kind = type(optimizer).__name__
    if kind in ("Rprop", "DeltaBarDelta"):
        option = "--schedule" if name is not None else "--warmup"
        raise ConfigurationError(f"{option} is for a learning rate, and {kind} has a step of its own for each weight")
    if warmup is not None and not 0 < warmup < math.inf:
        raise ConfigurationError(f"--warmup is a number of epochs above 0, such as 2 or 0.5, not {warmup:g}")
    rate: Any = getattr(optimizer, "learning_rate")  # noqa: B009 - each of these has one
    chosen = one_of("--schedule", name or "constant", SCHEDULES)
    if chosen != "constant":
        if steps is None:
            raise ConfigurationError(
                f"--schedule {chosen} is made for a number of steps, and --max-time alone gives none; say --epochs or "
                "--max-steps too"
            )
        rate = _scheduled(chosen, float(rate), max(steps, 1))
    if warmup is not None:
        rate = Warmup(max(round(warmup * steps_per_epoch), 1), rate)
    changed: Any = optimizer
    found: Optimizer = dataclasses.replace(changed, learning_rate=rate)
    return found


def _scheduled(name: str, rate: float, steps: int) -> Any:
    """The schedule of this name, from the rate at the first of these steps to its end at the last."""
    from chainrule.optimizers import schedules

    made: dict[str, Callable[[], Any]] = {
        "step": lambda: schedules.Step(rate, 0.1, every=max(math.ceil(steps / 3), 1)),
        "exponential": lambda: schedules.Exponential(rate, 0.01, every=steps),
        "inverse_time": lambda: schedules.InverseTime(rate, 9 / steps),
        "linear": lambda: schedules.Polynomial(rate, steps),
        "cosine": lambda: schedules.Cosine(rate, steps),
        # Periods of 1, 2 and 4 parts: the last ends with the training.
        "warm_restarts": lambda: schedules.WarmRestarts(rate, max(steps / 7, 1), growth=2),
        "one_cycle": lambda: schedules.OneCycle(rate, steps),
    }
    return made[name]()


def told_optimizer(optimizer: Optimizer | None, *, rate: bool = True) -> str:
    """The optimizer in words, with its numbers; without ``rate``, the learning rate is left out."""
    if optimizer is None:
        return "a step of your own"
    settings: Mapping[str, Any] = {name: v for name, v in vars(optimizer).items() if rate or name != "learning_rate"}
    shown = [
        f"{name.replace('_', ' ')} {told_number(value)}" for name, value in settings.items() if _is_told(name, value)
    ]
    names = {"SGD": "gradient descent"}
    kind = names.get(type(optimizer).__name__, type(optimizer).__name__)
    return ", ".join([kind, *shown, *(["in Nesterov's form"] if settings.get("nesterov") else [])])


def told_regularizer(regularizer: Regularizer | None) -> list[str]:
    """The penalty on weights in words, if there is one."""
    if regularizer is None:
        return []
    names = {"ElasticNet": "L1 and L2"}
    rates = [f"{value:g}" for value in vars(regularizer).values() if isinstance(value, float)]
    kind = type(regularizer).__name__
    return [f"penalty {names.get(kind, kind)} of {' and '.join(rates)}"]


def told_number(value: Any) -> str:
    """A number, or a schedule with its numbers.

    >>> from chainrule.optimizers.schedules import Cosine, Warmup
    >>> told_number(0.1), told_number(Warmup(10, Cosine(0.1, 900)))
    ('0.1', 'Warmup(10, Cosine(0.1, 900))')
    """
    if isinstance(value, int | float):
        return f"{value:g}"
    if not dataclasses.is_dataclass(value):
        return "by a function"
    settings = [
        told_number(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    ]
    return f"{type(value).__name__}({', '.join(settings)})"


def _is_told(name: str, value: Any) -> bool:
    return name in ("learning_rate", "momentum") and value != 0


def _activations() -> Mapping[str, Callable[[Any], Any]]:
    import chainrule

    return {name: getattr(chainrule, name) for name in ACTIVATIONS}


def count_outputs(data: Dataset, loss: Loss) -> int:
    """How many numbers the model gives for a sample."""
    from chainrule.losses import BinaryCrossEntropy

    if data.classes is not None:
        return 1 if isinstance(loss, BinaryCrossEntropy) else max(len(data.classes), 2)
    shape = () if data.targets is None else data.targets.shape[1:]
    if len(shape) != 1:
        raise ConfigurationError(
            f"the targets of a sample have the shape {list(shape)}; the command trains on one row of numbers a sample"
        )
    return int(shape[0])


def duration(name: str, text: str | None) -> float | None:
    """A time in seconds: "90", "90s", "10m", "2h", "1h30m".

    >>> duration("--max-time", "1h30m")
    5400.0
    """
    if text is None:
        return None
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip().lower())
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + seconds
    if total <= 0:
        raise ConfigurationError(f"{name} is a time, such as 90s, 10m or 1h30m, not {text}")
    return total
