from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import download, sources
from chainrule.data.sources import Source, SourceFile
from chainrule.errors import DataError, DownloadError

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(CONTENT, mtime=0)
FILE = SourceFile("numbers.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    body: bytes = PACKED
    cut: int | None = None
    ranges: bool = True
    status: int = 0
    redirect: str = ""
    length: bool = True
    wrong_range: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        behaviour, wanted = self.behaviour, self.headers.get("Range")
        behaviour.asked.append((self.path, wanted))
        if behaviour.redirect and not self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", behaviour.redirect)
            self.end_headers()
            return
        if behaviour.status:
            self.send_error(behaviour.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and behaviour.ranges else 0
        if start >= len(behaviour.body) > 0 and wanted:
            self.send_error(416)
            return
        body = behaviour.body[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if behaviour.wrong_range else start
            self.send_header("Content-Range", f"bytes {first}-{len(behaviour.body) - 1}/{len(behaviour.body)}")
        if behaviour.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if behaviour.cut is None else body[: behaviour.cut])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[tuple[str, Behaviour]]:
    behaviour = Behaviour()
    handler = type("Bound", (Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/", behaviour
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    return tmp_path / "cache" / "chainrule"


def known(monkeypatch: pytest.MonkeyPatch, *urls: str, files: tuple[SourceFile, ...] = (FILE,)) -> None:
    monkeypatch.setitem(sources.SOURCES, "numbers", Source(urls, files, "none"))


def test_a_download_is_whole_in_its_place_and_told_of(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    told: list[tuple[str, int, int | None]] = []
    folder = sources.find("numbers", progress=lambda *step: told.append(step))
    assert folder == cache / "numbers"
    assert [path.name for path in folder.iterdir()] == ["numbers.gz"]
    assert (folder / "numbers.gz").read_bytes() == PACKED
    assert told[-1] == ("numbers.gz", len(PACKED), len(PACKED))
    assert [step[1] for step in told] == sorted(step[1] for step in told)
    assert sources.find("numbers") == folder
    assert len(server[1].asked) == 1


def test_another_compression_of_the_same_contents_is_as_good(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    server[1].body = gzip.compress(CONTENT, compresslevel=1, mtime=5)
    server[1].length = False
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == server[1].body


def test_a_broken_download_goes_on_where_it_broke(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    server[1].cut = 100_000
    with pytest.raises(DownloadError, match=r"the connection broke after 100,000 of \d+,\d+ bytes"):
        sources.find("numbers")
    part = cache / "numbers" / "numbers.gz.part"
    assert part.stat().st_size == 100_000
    assert sources.locate("numbers") is None
    server[1].cut = None
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == PACKED
    assert server[1].asked[-1] == ("/numbers.gz", "bytes=100000-")
    assert not part.exists()


@pytest.mark.parametrize("change", [{"ranges": False}, {"wrong_range": True}])
def test_a_server_that_cannot_go_on_begins_anew(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, bool]
) -> None:
    known(monkeypatch, server[0])
    (cache / "numbers").mkdir(parents=True)
    (cache / "numbers" / "numbers.gz.part").write_bytes(PACKED[:1000])
    for name, value in change.items():
        setattr(server[1], name, value)
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == PACKED


@pytest.mark.parametrize("before", [PACKED, PACKED + b"more", b"rubbish", gzip.compress(CONTENT, 1)[:500]])
def test_what_is_left_of_an_earlier_try_does_no_harm(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    known(monkeypatch, server[0])
    (cache / "numbers").mkdir(parents=True)
    (cache / "numbers" / "numbers.gz.part").write_bytes(before)
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == PACKED


WRONG = [
    (gzip.compress(CONTENT[:-1] + b"\0"), "the contents have the sha256 [0-9a-f]{64}; [0-9a-f]{64} was expected"),
    (gzip.compress(CONTENT[:-1]), "the contents have 299,999 bytes; 300,000 were expected"),
    (gzip.compress(CONTENT + b"\0"), "the contents have more than 300,000 bytes"),
    (gzip.compress(bytes(100_000_000)), "more than 300,000 bytes"),
    (b"<html>a portal wants your name</html>", "not a whole gzip file"),
    (PACKED[:-1], "not a whole gzip file"),
    (bytes(2_000_000), r"2,000,000 bytes are offered, but 1,348,576 at most"),
    (b"", "bytes"),
]


@pytest.mark.parametrize(("body", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_contents_are_never_kept(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, message: str
) -> None:
    known(monkeypatch, server[0])
    server[1].body = body
    with pytest.raises(DownloadError, match=message):
        sources.find("numbers")
    assert list((cache / "numbers").iterdir()) == []
    server[1].body = PACKED
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == PACKED


def test_the_check_of_contents_can_fail(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_check", lambda *_, packed: None)
    known(monkeypatch, server[0])
    server[1].body = b"anything"
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == b"anything"


def test_a_file_that_is_not_packed_is_checked_as_it_is(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SourceFile("numbers.txt", FILE.size, FILE.sha256)
    known(monkeypatch, server[0], files=(plain,))
    server[1].body = CONTENT
    assert (sources.find("numbers") / "numbers.txt").read_bytes() == CONTENT
    (cache / "numbers" / "numbers.txt").unlink()
    server[1].body = b"?" + CONTENT[1:]
    with pytest.raises(DownloadError, match="sha256"):
        sources.find("numbers")


def test_an_endless_answer_is_cut_off(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    server[1].body, server[1].length = bytes(3_000_000), False
    with pytest.raises(DownloadError, match="more than 1,348,576 bytes came"):
        sources.find("numbers")


def test_the_next_mirror_is_asked(server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, "http://127.0.0.1:9/", server[0])
    assert (sources.find("numbers") / "numbers.gz").is_file()


def test_offline_says_what_was_tried_and_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, "http://127.0.0.1:9/one/", "http://localhost:9/two/")
    with pytest.raises(DownloadError) as caught:
        sources.find("numbers")
    message = str(caught.value)
    for part in (
        "http://127.0.0.1:9/one/numbers.gz: cannot be reached",
        "two/numbers.gz",
        str(cache / "numbers"),
        "put numbers.gz into",
        "CHAINRULE_DATA",
    ):
        assert part in message


def test_the_server_s_refusal_is_told(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    server[1].status = 404
    with pytest.raises(DownloadError, match="the server answered 404 Not Found"):
        sources.find("numbers")


@pytest.mark.parametrize(
    "url", ["http://example.org/", "ftp://127.0.0.1/", "file:///etc/", "http://127.0.0.1.example.org/"]
)
def test_only_https_is_used_away_from_this_machine(cache: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("chainrule.data.download.build_opener", lambda *_: pytest.fail("a connection was made"))
    known(monkeypatch, url)
    with pytest.raises(DownloadError, match="over https only"):
        sources.find("numbers")


def test_a_redirect_away_from_https_is_refused(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    server[1].redirect = "http://example.org/numbers.gz"
    with pytest.raises(DownloadError, match=r"http://example\.org/numbers\.gz is refused"):
        sources.find("numbers")
    server[1].redirect = server[0] + "moved/numbers.gz"
    assert (sources.find("numbers") / "numbers.gz").read_bytes() == PACKED


def test_one_process_downloads_at_a_time(
    server: tuple[str, Behaviour], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, server[0])
    folder = cache / "numbers"
    folder.mkdir(parents=True)
    with download._alone(folder / "numbers.gz.part"), pytest.raises(DownloadError, match="another process"):
        sources.find("numbers")


def test_a_folder_that_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, "http://127.0.0.1:9/")
    cache.parent.mkdir()
    cache.write_text("in the way")
    with pytest.raises(DownloadError, match="could not be kept in"):
        sources.find("numbers")


def test_places_are_looked_through_in_order(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, "http://127.0.0.1:9/")
    assert sources.locate("numbers") is None
    (cache / "numbers").mkdir(parents=True)
    (cache / "numbers" / "numbers").write_bytes(CONTENT)
    assert sources.find("numbers") == cache / "numbers"
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "mine"))
    with pytest.raises(DataError, match=r"CHAINRULE_DATA names .*mine, which is no folder"):
        sources.locate("numbers")
    (tmp_path / "mine").mkdir()
    assert sources.find("numbers") == cache / "numbers"
    (tmp_path / "mine" / "numbers").mkdir()
    (tmp_path / "mine" / "numbers" / "numbers.gz").write_bytes(PACKED)
    assert sources.find("numbers") == tmp_path / "mine" / "numbers"


def test_the_folder_beside_a_checkout_comes_before_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, "http://127.0.0.1:9/")
    module = tmp_path / "checkout" / "src" / "chainrule" / "data" / "sources.py"
    monkeypatch.setattr(sources, "__file__", str(module))
    for folder in (cache / "numbers", tmp_path / "shared" / "data" / "numbers"):
        folder.mkdir(parents=True)
        (folder / "numbers.gz").write_bytes(PACKED)
    assert sources.locate("numbers") == cache / "numbers"
    module.parent.mkdir(parents=True)
    (tmp_path / "checkout" / "pyproject.toml").touch()
    assert sources.locate("numbers") == tmp_path / "shared" / "data" / "numbers"


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sources.cache_folder() == tmp_path / ".cache" / "chainrule"


def test_unknown_sources_are_refused() -> None:
    with pytest.raises(DataError, match="no known source; known are mnist, fashion-mnist"):
        sources.locate("cifar")


@pytest.mark.parametrize("name", list(sources.SOURCES))
def test_the_table_agrees_with_the_files_that_are_here(name: str) -> None:
    folder = sources.locate(name)
    if folder is None:
        pytest.skip(f"{name} is not on this machine")
    for file in sources.SOURCES[name].files:
        path = folder / file.name
        content = path.read_bytes() if path.is_file() else path.with_suffix("").read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256


@pytest.mark.parametrize("name", list(sources.SOURCES))
def test_every_source_is_fetched_over_https(name: str) -> None:
    assert all(url.startswith("https://") and url.endswith("/") for url in sources.SOURCES[name].urls)
