"""The exceptions of chainrule: one tree, so that a caller can catch as much or as little as it wants.

::

    ChainruleError
    ├─ GraphError                a graph cannot be built or is not well formed
    │  ├─ ShapeError             the shapes of two operands do not fit
    │  ├─ DtypeError             the dtypes of two operands do not fit
    │  └─ CannotGoOnError        a layer cannot go on with a sequence one position at a time
    ├─ ConfigurationError        a setting has no meaning here (also a ValueError)
    ├─ DataError                 the data cannot be used: file, row and column are named
    │  ├─ DownloadError          a data set could not be fetched
    │  └─ StreamError            a stream broke off; the chunk is named
    ├─ EngineError               an engine cannot run this graph
    ├─ MissingExtraError         a library is not installed; the command to install it is named
    ├─ TrainingError             training cannot go on
    │  └─ NotFiniteError         a loss or a gradient became infinite or NaN; the node is named
    └─ RunFileError              a saved run is missing, damaged or of another kind, or cannot be saved
"""

from __future__ import annotations

from typing import Any


class ChainruleError(Exception):
    """The root of every exception that chainrule raises on purpose."""


class GraphError(ChainruleError):
    """A graph cannot be built or is not well formed."""


class ShapeError(GraphError):
    """The shapes of two operands do not fit."""


class DtypeError(GraphError):
    """The dtypes of two operands do not fit."""


class CannotGoOnError(GraphError):
    """A layer cannot go on with a sequence one position at a time; text is then made by the whole window each time."""


class ConfigurationError(ChainruleError, ValueError):
    """A setting has no meaning here."""


class DataError(ChainruleError):
    """The data cannot be used; the message names file, row and column where there are any."""


class DownloadError(DataError):
    """A data set could not be fetched."""


class StreamError(DataError):
    """A stream broke off; ``run`` is the run as it was after the last whole batch, to be saved or gone on with."""

    run: Any = None


class EngineError(ChainruleError):
    """An engine cannot run this graph."""


class MissingExtraError(ChainruleError, ImportError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed. Install it with: pip install 'chainrule[{extra}]'"
        )
        self.library, self.extra = library, extra


class TrainingError(ChainruleError):
    """Training cannot go on."""


class NotFiniteError(TrainingError):
    """A loss or a gradient became infinite or NaN; ``run`` is the run as it was before that step."""

    run: Any = None


class RunFileError(ChainruleError):
    """A saved run is missing, damaged or of another kind, or one cannot be saved; ``run`` is it, if it was trained."""

    run: Any = None
