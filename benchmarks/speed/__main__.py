"""chainrule beside its peers: `make bench`, or python -m benchmarks.speed [--row …] [--peers …] [--profile] [--quick].

Whole rows are kept in benchmarks/speed.json and shown in benchmarks/speed.md; with --peers, --profile or --quick they
are printed and nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed import page, training
from benchmarks.speed.data import write_data
from benchmarks.speed.machine import made_with, peaks, warn_if_busy
from benchmarks.speed.others import OTHERS
from benchmarks.speed.others import measure as measure_other
from benchmarks.speed.peers import chosen
from benchmarks.speed.workloads import WORKLOADS

KEPT = Path(__file__).resolve().parents[1] / "speed.json"


def rows_named(words: str) -> list[str]:
    """The rows that were asked for, all for an empty text; ends with 2 for one that does not exist."""
    everything = [*WORKLOADS, *OTHERS]
    wanted = [word.strip() for word in words.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in everything]
    if unknown:
        raise SystemExit(f"there is no row {unknown[0]!r}; there are {', '.join(everything)}")
    return wanted or everything


def kinds_of(names: Sequence[str]) -> list[str]:
    """The data that these rows need: those of the workloads, and what the other rows train on."""
    needed = {WORKLOADS[name].data for name in names if name in WORKLOADS}
    return sorted(needed | ({"digits", "points"} if any(name in OTHERS for name in names) else set()))


def keep(kept: dict[str, Any], kind: str, name: str, row: dict[str, Any], path: Path = KEPT) -> None:
    """Put a row in the place of its predecessor, in the order of the table, and write both files anew."""
    kept.setdefault(kind, {})[name] = {**row, "made_with": made_with()}
    for table, order in (("training", WORKLOADS), ("others", OTHERS)):
        kept[table] = {name: kept.get(table, {})[name] for name in order if name in kept.get(table, {})}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    path.with_suffix(".md").write_text(page.page(kept))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="The speed of chainrule beside its peers.")
    parser.add_argument("--row", default="", help="some rows alone, such as mlp-128,tiny")
    parser.add_argument("--peers", default="", help="some peers alone, such as torch,jax")
    parser.add_argument("--profile", action="store_true", help="where each microsecond goes, instead of the peers")
    parser.add_argument("--quick", action="store_true", help="one short process of each, to see that all runs")
    settings = parser.parse_args(arguments)
    names, peers = rows_named(settings.row), chosen(settings.peers)
    rounds, most, seconds = (1, 1, 0.3) if settings.quick else (5, 15, 2.0)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    keeping = not (settings.quick or settings.peers or settings.profile)
    warn_if_busy()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = write_data(folder, kinds_of(names))
        print(f"data: {'; '.join(sources.values())}", flush=True)
        limits: dict[str, float] = {}
        for name in names:
            if settings.profile:
                if name in WORKLOADS:
                    from benchmarks.speed.profiling import profile

                    print(profile(folder, WORKLOADS[name]), flush=True)
                continue
            if name in WORKLOADS:
                limits = limits or peaks()
                start = training.child(folder, seconds, 300 if settings.quick else 900)
                measured = training.measure(WORKLOADS[name], peers, start, rounds=rounds, most=most, tell=_tell)
                row = training.row(WORKLOADS[name], measured, limits)
                print("\n".join(page.training_table({name: row})), flush=True)
                if keeping:
                    keep(kept, "training", name, {**row, "data": sources[WORKLOADS[name].data]})
                continue
            lines = measure_other(name, folder, settings.quick)
            print("\n".join(page.line_text(line.kept()) for line in lines), flush=True)
            if keeping:
                keep(kept, "others", name, {"lines": [line.kept() for line in lines]})
    if keeping:
        print(f"kept in {KEPT.name} and {KEPT.with_suffix('.md').name}")


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
