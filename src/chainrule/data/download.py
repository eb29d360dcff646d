"""Fetching one file: resumed where it broke off, checked, and put in place whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from chainrule.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chainrule.data.sources import Progress

TIMEOUT = 30.0
_CHUNK = 1 << 16
_ROOM = 1 << 20  # what gzip may add to contents that cannot be compressed
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def fetch(urls: Sequence[str], path: Path, size: int, sha256: str, progress: Progress | None = None) -> None:
    """Fetch a file from the first of ``urls`` that gives it, whose contents have this size and sha256.

    Where its name ends in .gz, they are what is packed in it.

    What has come so far is kept in ``path`` + ".part", and the next call goes on from there. Raises
    DownloadError, with the reason for each address.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _alone(part) as file:
        if path.is_file():  # another process was faster
            return
        _fetch_from_any(urls, file, path.name, size, sha256, progress)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def _fetch_from_any(
    urls: Sequence[str], file: IO[bytes], name: str, size: int, sha256: str, progress: Progress | None
) -> None:
    reasons = []
    for url in urls:
        try:
            _fetch_checked(url, file, name, size, sha256, progress)
        except DownloadError as error:
            reasons.append(f"{url}: {error}")
        else:
            return
    raise DownloadError("\n".join(reasons))


def _fetch_checked(url: str, file: IO[bytes], name: str, size: int, sha256: str, progress: Progress | None) -> None:
    # What came earlier may be of another mirror's compression: then once more, from the start.
    again = file.seek(0, os.SEEK_END) > 0
    while True:
        try:
            _receive(url, file, name, size + _ROOM, progress)
            _check(file, size, sha256, packed=name.endswith(".gz"))
            return
        except _WrongContentsError:
            file.truncate(0)
            if not again:
                raise
            again = False


class _WrongContentsError(DownloadError):
    """What came is not what was expected; it is of no use for going on."""


def _receive(url: str, file: IO[bytes], name: str, limit: int, progress: Progress | None) -> None:
    _check_address(url)
    start = file.seek(0, os.SEEK_END)
    request = Request(url, headers={"User-Agent": "chainrule", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with build_opener(_SafeRedirects()).open(request, timeout=TIMEOUT) as response:
            _copy(response, file, start, name, limit, progress)
    except HTTPError as error:
        error.close()
        if error.code == 416 and start:  # there is nothing beyond: what has come is the whole file, or none of it
            return
        raise DownloadError(f"the server answered {error.code} {error.reason}") from error
    except URLError as error:
        raise DownloadError(f"cannot be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise DownloadError(f"the connection broke ({error!r:.100}); the next try goes on from there") from error


def _copy(
    response: HTTPResponse, file: IO[bytes], start: int, name: str, limit: int, progress: Progress | None
) -> None:
    length = response.headers.get("Content-Length", "")
    expected = int(length) if length.isdecimal() else None
    if start:
        came = response.headers.get("Content-Range", "")
        if response.status != 206 or not came.startswith(f"bytes {start}-"):
            # The server began anew, or elsewhere; only a beginning is of use.
            if response.status == 206:
                raise _WrongContentsError(f"the server sent {came!r:.60} when asked for the bytes from {start:,} on")
            file.truncate(0)
            start = file.seek(0)
    total = None if expected is None else start + expected
    if total is not None and total > limit:
        raise _WrongContentsError(f"{total:,} bytes are offered, but {limit:,} at most were expected")
    position = start
    while piece := response.read(_CHUNK):
        position += len(piece)
        if position > limit:
            raise _WrongContentsError(f"more than {limit:,} bytes came; it is not the file that was expected")
        file.write(piece)
        if progress is not None:
            progress(name, position, total)
    if total is not None and position < total:
        raise DownloadError(f"the connection broke after {position:,} of {total:,} bytes; the next try goes on there")


def _check(file: IO[bytes], size: int, sha256: str, *, packed: bool) -> None:
    """Unpack what came, in pieces, and compare; no more than ``size`` bytes and one are ever unpacked."""
    import gzip
    import hashlib
    import zlib

    file.flush()
    file.seek(0)
    digest = hashlib.sha256()
    unpacked = 0
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") if packed else nullcontext(file) as stream:
            while piece := stream.read(min(_CHUNK, size + 1 - unpacked)):
                unpacked += len(piece)
                digest.update(piece)
    except (OSError, EOFError, zlib.error) as error:
        raise _WrongContentsError(f"what came is not a whole gzip file ({error})") from error
    if unpacked != size:
        told = f"{unpacked:,}" if unpacked < size else f"more than {size:,}"
        raise _WrongContentsError(f"the contents have {told} bytes; {size:,} were expected")
    if digest.hexdigest() != sha256:
        raise _WrongContentsError(f"the contents have the sha256 {digest.hexdigest()}; {sha256} was expected")


class _SafeRedirects(HTTPRedirectHandler):
    """Redirects are followed to addresses that would have been accepted in the first place."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise DownloadError(f"{url} is refused: data are fetched over https only")


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The file of what has come so far, held by one process at a time where the system can say so."""
    with part.open("a+b") as file:
        try:
            import fcntl
        except ImportError:
            fcntl = None  # type: ignore[assignment]
        if fcntl is not None:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DownloadError(f"another process is downloading {part.name} already; wait for it") from error
        try:
            yield file
        finally:
            file.flush()
            with suppress(OSError):
                if part.stat().st_size == 0:
                    part.unlink()
