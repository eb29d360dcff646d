"""Models, losses and optimizers as plain tables, for TOML, and back: names and numbers, never code."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from chainrule import augmentation, graph, initializers, layers, losses, models, optimizers, regularizers
from chainrule.errors import ConfigurationError, RunFileError
from chainrule.graph import composites
from chainrule.optimizers import schedules

_FUNCTIONS = {
    "identity": composites.identity,
    "step_function": composites.step_function,
    "sigmoid": graph.sigmoid,
    "tanh": graph.tanh,
    "relu": composites.relu,
    "leaky_relu": composites.leaky_relu,
    "softmax": composites.softmax,
    "softplus": composites.softplus,
    "gelu": layers.gelu,
    "sin": graph.sin,
    "exp": graph.exp,
    "scaled_tanh": models.scaled_tanh,
}
_MODULES = (layers, models, initializers, losses, optimizers, regularizers, augmentation)
#: A table says by the first of these what the class is; each kind has names of its own, such as Constant.
_KINDS = {"type": _MODULES, "schedule": (schedules,)}
_MAXIMUM_DEPTH = 32


def _classes(kind: str, custom: Iterable[Any]) -> dict[str, Any]:
    known = {
        name: value
        for module in _KINDS[kind]
        for name, value in vars(module).items()
        if isinstance(value, type) and dataclasses.is_dataclass(value)
    }
    return known | {entry.__name__: entry for entry in custom}


def to_plain(value: Any) -> Any:
    """A configuration object as tables, lists, texts and numbers; a field that is None is left out.

    Raises `ConfigurationError` for what cannot be written: a function without a name in chainrule, a class that is no
    dataclass.

    >>> to_plain(layers.Dense(3, composites.relu))["activation"]
    {'function': 'relu'}
    """
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        kind = "schedule" if isinstance(value, schedules.Schedule) else "type"
        return {kind: type(value).__name__, **{name: to_plain(v) for name, v in fields.items() if v is not None}}
    if isinstance(value, functools.partial) and not value.args:
        return {**to_plain(value.func), **{name: to_plain(v) for name, v in value.keywords.items()}}
    name = getattr(value, "__name__", "")
    if callable(value) and name and "<" not in name:
        return {"function": name}
    raise ConfigurationError(f"{value!r} cannot be written to a file: use a dataclass, or a function with a name")


def from_plain(plain: Any, custom: Iterable[Any] = (), where: str = "model", depth: int = 0) -> Any:
    """The object that `to_plain` wrote; classes and functions of your own are given as ``custom``.

    Raises `RunFileError` where the file says something that chainrule does not know.
    """
    if depth > _MAXIMUM_DEPTH:
        raise RunFileError(f"{where}: nested more than {_MAXIMUM_DEPTH} deep")
    custom = list(custom)
    if isinstance(plain, list):
        return tuple(from_plain(entry, custom, f"{where}[{n}]", depth + 1) for n, entry in enumerate(plain))
    if not isinstance(plain, Mapping):
        return plain
    rest = {name: from_plain(v, custom, f"{where}.{name}", depth + 1) for name, v in plain.items()}
    if "function" in rest:
        functions = _FUNCTIONS | {entry.__name__: entry for entry in custom if not isinstance(entry, type)}
        function = _named(functions, rest.pop("function"), where, "function")
        return functools.partial(function, **rest) if rest else function
    for kind in _KINDS:
        if kind in rest:  # an optimizer of your own may have a setting that is called schedule
            named = _named(_classes(kind, custom), rest.pop(kind), where, "class" if kind == "type" else kind)
            return _construct(named, rest, where)
    raise RunFileError(f"{where}: a table without a type")


def _named(known: Mapping[str, Any], name: Any, where: str, kind: str) -> Any:
    if not isinstance(name, str) or name not in known:
        raise RunFileError(
            f"{where}: there is no {kind} {name!r} in chainrule; if it is your own: load(…, custom=[{name}])"
        )
    return known[name]


def _construct(cls: Any, fields: dict[str, Any], where: str) -> Any:
    positional: tuple[Any, ...] = ()
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            positional = fields.pop(parameter.name, ())
    try:
        return cls(*positional, **fields)
    except (TypeError, ConfigurationError) as error:
        raise RunFileError(f"{where}: {cls.__name__} cannot be made of {sorted(fields)}: {error}") from error
