"""What data are known by: a checksum, and how many samples of what they were, remembered with a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.data import Dataset, Stream


def fingerprint(*parts: Dataset | Stream) -> str:
    """A checksum of inputs and targets: the same samples in the same order and parts; of a stream, of its file.

    Of image files that are read as they are learned from, it is one of their names: a damaged one may be repaired.
    """
    from hashlib import blake2b

    from chainrule.data import Stream

    digest = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Stream):
            _add_stream(digest, part)
            continue
        for array in (part.inputs, part.targets):
            if array is not None:
                digest.update(f"{array.shape} {array.dtype}".encode())
                digest.update(array.tobytes())
    return digest.hexdigest()


def _add_file(digest: Any, path: Path) -> None:
    with path.open("rb") as file:
        while raw := file.read(1 << 20):
            digest.update(raw)


def _add_stream(digest: Any, part: Stream) -> None:
    from chainrule.data import ImageFiles
    from chainrule.data.wholes import Whole

    if not isinstance(part.source, Whole):
        _add_file(digest, _path_of(part))
        return
    for array in (*part.source.parts, part.source.rows):
        if isinstance(array, ImageFiles):
            digest.update("\n".join(f"{path.parent.name}/{path.name}" for path in array.paths).encode())
        elif array is not None:
            digest.update(array.tobytes())


def _path_of(streamed: Stream) -> Path:
    from chainrule.data.text.streaming import windows_of

    return windows_of(streamed).file.path


def held(train: Dataset | Stream, test: Dataset | Stream) -> str:
    """How many samples, of what: to say what is missing, or was changed."""
    from chainrule.data import Stream

    if isinstance(train, Stream) and train.preparation.images is None:
        return f"{_path_of(train).stat().st_size:,} bytes of text"
    if isinstance(test, Stream):
        return f"{len(train) + len(test):,} samples of {list(test.arrays['inputs'][0])}"
    same = test.inputs is getattr(train, "inputs", None)
    return f"{len(train) + (0 if same else len(test)):,} samples of {list(test.sample_shape)}"
