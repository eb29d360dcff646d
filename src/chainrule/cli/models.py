"""`--model`: a network by its name, or described in a file: a TOML table, or a Python file of the user's own."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.screen import say
from chainrule.errors import ChainruleError, ConfigurationError, RunFileError

if TYPE_CHECKING:
    from chainrule.data import Dataset
    from chainrule.layers import AnyLayer

#: Options that describe the dense network that there is without --model.
DENSE_ONLY = ("hidden", "activation", "batch_norm", "dropout")


def named_model(asked: str, data: Dataset, outputs: int, settings: Mapping[str, Any]) -> AnyLayer:
    """The model of this name or file, for these data; ConfigurationError says what is wrong with it.

    A Python file is run: it is the user's own, named on the command line. No run folder ever is, nor a TOML file.
    """
    for name in DENSE_ONLY:
        if name in settings:
            option = f"--{name.replace('_', '-')}"
            raise ConfigurationError(
                f"{option} describes the dense network that --model takes the place of; leave one out"
            )
    kind = Path(asked).suffix.lower()
    if kind == ".py":
        return _from_python(Path(asked), data, outputs)
    if kind == ".toml":
        return _from_toml(Path(asked))
    from chainrule.cli.choices import one_of
    from chainrule.models import BY_NAME

    try:
        name = one_of("--model", asked, list(BY_NAME))
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; or name a file that describes one, .toml or .py") from None
    return BY_NAME[name](outputs, image_shape(data, name))


def image_shape(data: Dataset, model: str) -> tuple[int, int, int]:
    """(height, width, channels) of the images that data are, lying flat or not."""
    for shape in (data.sample_shape, data.preparation.shape):
        if math.prod(shape) == math.prod(data.sample_shape) and len(shape) in (2, 3):
            height, width, *channels = shape
            return (height, width, channels[0] if channels else 1)
    raise ConfigurationError(
        f"--model {model} is for images, and {data.name} has "
        f"{' × '.join(map(str, data.sample_shape)) or 'one'} numbers a sample; --hidden makes a dense network"
    )


def _from_toml(path: Path) -> AnyLayer:
    from chainrule.formats.configuration import from_plain

    try:
        tables = tomllib.loads(_text(path))
        model: Any = from_plain(tables.get("model", tables))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"--model {path} is not TOML: {error}") from error
    except (RunFileError, ConfigurationError) as error:
        raise ConfigurationError(f"--model {path}: {error}") from error
    return _checked(path, model)


def _from_python(path: Path, data: Dataset, outputs: int) -> AnyLayer:
    """What ``model`` is in a file of Python, or what the function of this name gives for these outputs and shape."""
    import traceback

    text = _text(path)
    names: dict[str, Any] = {"__name__": "model", "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), names)
        found = names.get("model")
        if callable(found) and not hasattr(found, "apply"):
            found = found(outputs, data.sample_shape)
    except ChainruleError as error:
        raise ConfigurationError(f"--model {path}: {error}") from error
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        place = f", line {line}" if line else ""
        raise ConfigurationError(f"--model {path}{place}: {type(error).__name__}: {error}") from error
    if found is None:
        raise ConfigurationError(
            f"--model {path} makes no model: it assigns a layer to the name model, or defines model(outputs, shape)"
        )
    model = _checked(path, found)
    _tell_own(path, model)
    return model


def _checked(path: Path, model: Any) -> AnyLayer:
    if isinstance(model, type) or not hasattr(model, "apply"):
        raise ConfigurationError(f"--model {path}: model is a layer, such as a Chain of layers, not {model!r}")
    layer: AnyLayer = model
    return layer


def _tell_own(path: Path, model: AnyLayer) -> None:
    """A run never brings code along, so layers of one's own have to be given again."""
    from chainrule.formats.configuration import from_plain, to_plain

    try:
        from_plain(to_plain(model))
    except RunFileError as error:
        say(f"{path} has layers of its own, so this run is for Python: {error}", error=True)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--model {path} cannot be read: {error}") from error
