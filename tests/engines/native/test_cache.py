"""The cache of compiled programs: several writers at once, damage, bounds, disks that are full, folders of others."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chainrule.engines.native import cache

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of another kind")
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "compiled"))
    return tmp_path / "compiled" / "native"


def start(code: str, folder: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, **settings},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors == ""
    return output


# ---- several writers ---------------------------------------------------------------------------------------------

_BOUND = 15_000

#: Compiles graphs that all writers have and graphs that only it has, again and again: from the disk, or anew.
_WRITER = f"""
import gc, os, sys, time
import numpy as np
from chainrule import graph
from chainrule.engines.native import NativeEngine, cache
cache.MAXIMUM_BYTES = {_BOUND}
own = int(sys.argv[1])
x = graph.input("x", (7,))
given = np.linspace(-2, 2, 7, dtype=np.float32)
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.002)
sources = []
shared, alone = range(2, 8), range(100 * own, 100 * own + 4)
for factor in (*shared, *alone, *shared):
    for _ in range(2):
        engine = NativeEngine()
        found = engine.compile(graph.Graph({{"y": graph.tanh(x) * float(factor)}})).run({{"x": given}})["y"]
        np.testing.assert_allclose(found, np.tanh(given) * factor, rtol=1e-5)
        sources.append(engine.compilations[0].source)
        del engine
        gc.collect()  # no program is left in this process: the next time it comes from the disk, or is made anew
print(*sorted(set(sources)), sep=",")
"""


def vandalize(place: Path, until: threading.Event, done: list[str]) -> None:
    """Cut, change, swap and delete entries until told to stop."""
    chance = random.Random(0)
    while not until.is_set():
        time.sleep(0.05)
        try:
            entries = sorted(path for path in place.iterdir() if not path.name.startswith("."))
            path, other = chance.choice(entries), chance.choice(entries)
            content = path.read_bytes()
            how = ("cut", "change", "swap", "delete")[len(done) % 4]
            if how == "cut":
                path.write_bytes(content[: chance.randrange(len(content) + 1)])
            elif how == "change" and content:
                spot = chance.randrange(len(content))
                path.write_bytes(content[:spot] + bytes([content[spot] ^ 1]) + content[spot + 1 :])
            elif how == "swap":
                os.replace(path, other)
            elif how == "delete":
                path.unlink()
            done.append(how)
        except (OSError, IndexError):
            continue


def test_writers_at_once_and_a_vandal_among_them(tmp_path: Path, place: Path) -> None:
    writers = [start(_WRITER, tmp_path, str(number)) for number in range(1, 4)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    stop, done = threading.Event(), list[str]()
    vandal = threading.Thread(target=vandalize, args=(place, stop, done))
    vandal.start()
    (tmp_path / "go").touch()
    try:
        said = [finished(writer) for writer in writers]
    finally:
        stop.set()
        vandal.join()
    assert {"cut", "change", "swap", "delete"} <= set(done)
    assert any("compiled" in sources for sources in said)
    assert any("on disk" in sources for sources in said)
    left = list(place.iterdir())
    assert not [path for path in left if path.name.startswith(".")]
    assert sum(path.stat().st_size for path in left) <= _BOUND


def test_threads_that_write_one_entry_never_show_half_of_it(place: Path) -> None:
    name, code = cache.key("a program"), bytes(range(256)) * 1000
    cache.write(name, code)

    def work() -> None:
        for _ in range(40):
            cache.write(name, code)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    seen = [cache.read(name) == code for _ in range(150)]
    for thread in threads:
        thread.join()
    assert all(seen)
    assert [path.name for path in place.iterdir()] == [name]


# ---- bounds ------------------------------------------------------------------------------------------------------


def test_what_was_used_longest_ago_goes_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAXIMUM_BYTES", 5_000)
    names = [cache.key(str(number)) for number in range(8)]
    for number, name in enumerate(names):
        cache.write(name, b"x" * 1_000)
        past = time.time() - 1_000 + number
        if (place / name).exists():
            os.utime(place / name, (past, past))
        assert cache.read(names[0]) is not None  # used each time, so it stays
    assert [name for name in names if (place / name).exists()] == [names[0], *names[-3:]]
    cache.write(cache.key("too large"), b"x" * 6_000)
    assert sum(path.stat().st_size for path in place.iterdir()) <= 5_000


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(place: Path) -> None:
    cache.write(cache.key("one"), b"code")
    old, new = (place / f".{cache.key(name)}.abc" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half of it")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    cache.write(cache.key("two"), b"code")
    assert (old.exists(), new.exists()) == (False, True)


# ---- others ------------------------------------------------------------------------------------------------------


def test_a_folder_of_somebody_elses_is_neither_read_nor_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = cache.key("one"), cache.key("two")
    cache.write(one, b"code")
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    assert cache.folder() is None
    assert cache.read(one) is None
    cache.write(two, b"code")
    monkeypatch.undo()
    assert [path.name for path in place.iterdir()] == [one]


def test_a_folder_that_others_may_write_to_is_emptied_and_closed_and_their_files_are_left_alone(place: Path) -> None:
    name = cache.key("a program")
    cache.write(name, b"code")
    (place / "main.c").write_text("somebody's work")
    (place / "more").mkdir()
    place.chmod(0o770)
    assert cache.read(name) is None
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert sorted(path.name for path in place.iterdir()) == ["main.c", "more"]


def test_entries_are_for_their_owner_only_whatever_the_usual_permissions(place: Path) -> None:
    before = os.umask(0)
    try:
        cache.write(cache.key("a program"), b"code")
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    (entry,) = place.iterdir()
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def test_an_entry_that_others_may_write_to_or_that_was_moved_is_not_used(place: Path) -> None:
    one, two = cache.key("one"), cache.key("two")
    cache.write(one, b"code")
    assert cache.read(one) == b"code"
    (place / one).chmod(0o602)
    assert cache.read(one) is None
    cache.write(one, b"code")
    (place / one).rename(place / two)
    assert cache.read(two) is None
    assert list(place.iterdir()) == []


# ---- disks that take nothing -------------------------------------------------------------------------------------

_TRAIN = """
import os, resource, sys
import chainrule as cr
from chainrule.engines.native import NativeEngine

def train(units):
    engine = NativeEngine()
    data, _ = cr.data.load("xor")
    run = cr.fit(cr.Chain(cr.Dense(units, cr.tanh), cr.Dense(2)), data, epochs=200, engine=engine, progress=False)
    assert run.evaluate(data)["accuracy"] == 1.0
    return engine.compilations[0].source
"""
_FULL = (
    _TRAIN
    + """
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # no file may become longer, as on a disk that is full
with open("other", "wb", 0) as file:
    assert file.write(bytes(200)) == 100, "this disk is not full"
print(train(4))
"""
)
_READ_ONLY = (
    _TRAIN
    + """
train(4)
good = os.listdir("compiled/native")
train(5)
before = sorted(os.listdir("compiled/native"))
for name in set(before) - set(good):
    os.truncate(f"compiled/native/{name}", 100)
if os.getuid() == 0:  # who may write everywhere; nobody may not
    for path in (".", "compiled", "compiled/native", *(f"compiled/native/{name}" for name in before)):
        os.chown(path, 65534, 65534)
    train(7)  # imports all that is wanted
    for name in set(os.listdir("compiled/native")) - set(before):
        os.remove(f"compiled/native/{name}")
    os.setgid(65534), os.setuid(65534)
os.chmod("compiled/native", 0o500)
sources = []
import gc
for units in (4, 5, 6):
    gc.collect()
    sources.append(train(units))
os.chmod("compiled/native", 0o700)
assert sorted(os.listdir("compiled/native")) == before
print(*sources, sep=",")
"""
)


def test_a_full_disk_is_no_reason_to_stop(tmp_path: Path, place: Path) -> None:
    assert finished(start(_FULL, tmp_path)) == "compiled\n"
    assert list(place.iterdir()) == []


def test_a_folder_that_is_read_only_is_read(tmp_path: Path) -> None:
    sources = finished(start(_READ_ONLY, tmp_path, CHAINRULE_CACHE="compiled")).strip().split(",")
    assert sources == ["on disk", "compiled", "compiled"]
