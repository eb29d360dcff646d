"""The results as a page of Markdown, and as lines on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

#: A library a column: the better of its ways.
COLUMNS = ("PyTorch", "PyTorch, channels last", "torch.compile", "JAX", "JAX by scan ¹", "scikit-learn", "Keras ¹")


@dataclass(frozen=True)
class Line:
    """A figure beside its bar; ``met`` is None where there is no bar."""

    what: str
    figure: str
    bar: str = ""
    met: bool | None = None

    def kept(self) -> dict[str, Any]:
        """As it is kept in the JSON file."""
        return asdict(self)


def column_of(key: str) -> str:
    """The column in which a peer stands."""
    if key == "jax-scan":
        return "JAX by scan ¹"
    starts = {"torch-last": "PyTorch, channels last"} | {
        "torch-compile": "torch.compile",
        "torch": "PyTorch",
        "jax": "JAX",
        "sklearn": "scikit-learn",
    }
    return next((column for start, column in starts.items() if key.startswith(start)), "Keras ¹")


def by_column(row: Mapping[str, Any]) -> dict[str, float]:
    """The better of the ways to run each library, in microseconds."""
    found: dict[str, float] = {}
    for key, value in row["microseconds"].items():
        if key != "chainrule":
            column = column_of(key)
            found[column] = min(value, found.get(column, value))
    return found


def verdict(row: Mapping[str, Any]) -> str:
    """Whether the ratio reaches the bar, in a word."""
    if "ratio" not in row:
        return "no peer"
    word = "aim" if row["ratio"] >= row["aim"] else "bar" if row["ratio"] >= row["bar"] else "**below**"
    return word if row.get("decided", True) else f"{word}, undecided"


def training_table(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The table of training."""
    lines = [
        f"| workload | chainrule | {' | '.join(COLUMNS)} | ratio | bar | aim | | GFLOP/s | of OpenBLAS | of own best |",
        f"|---|---:|{'---:|' * len(COLUMNS)}---:|---:|---:|---|---:|---:|---:|",
    ]
    for name, row in rows.items():
        peers = by_column(row)
        cells = [f"{peers[column]:,.0f}" if column in peers else "–" for column in COLUMNS]
        shares = row["share_of_peak"]
        parts = [f"{shares[kind]:.0%}" if kind in shares else "–" for kind in ("openblas", "generator")]
        ratio = f"**{row['ratio']:.2f}×**" if "ratio" in row else "–"
        lines.append(
            f"| {name} | {row['microseconds']['chainrule']:,.1f} | {' | '.join(cells)} | {ratio} | {row['bar']}× | "
            f"{row['aim']}× | {verdict(row)} | {row['gigaflops']} | {' | '.join(parts)} |"
        )
    return lines


def line_text(line: Mapping[str, Any]) -> str:
    """One figure as a row of a table."""
    met = {None: "", True: "met", False: "**below**"}[line["met"]]
    return f"| {line['what']} | {line['figure']} | {line['bar']} | {met} |"


def page(kept: Mapping[str, Any]) -> str:
    """All that is kept, as a page."""
    training, others = kept.get("training", {}), kept.get("others", {})
    lines = ["# Speed, beside the peers", "", "Written by `make bench`.", ""]
    for made, names in _machines(kept):
        versions = ", ".join(f"{name} {value}" for name, value in made.items() if name != "machine")
        sentences = " ".join(f"{part}." for part in (made["machine"], versions) if part)
        lines += [sentences + (f" ({', '.join(names)})" if names else ""), ""]
    if training:
        lines += [
            "## Training: microseconds a step",
            "",
            "The median of at least five processes, each the median of its steps, the peers in turn; taking the batch",
            "from the data is part of a step. Each library in its better way, on one thread or on all. Ratio:",
            "the best peer's time by chainrule's. The share of OpenBLAS is of its best product on all cores, the share",
            "of the own best is of the kernel generator's on one core times the cores.",
            "",
            *training_table(training),
            "",
            "¹ For the record, measured once, and not part of the ratio: many steps in one call by `lax.scan`; Keras'",
            "own `fit`, on JAX.",
            "",
            "| workload | network and update | largest difference of the first losses | not measured |",
            "|---|---|---:|---|",
        ]
        for name, row in training.items():
            apart = max(row["differences"].values(), default=0.0)
            refused = "; ".join(f"{row['titles'][key]}: {why}" for key, why in row["refused"].items())
            lines.append(f"| {name} | {row['network']} | {apart:.1g} | {refused} |")
        lines.append("")
    if others:
        lines += ["## The rest", "", "| what | figure | bar | |", "|---|---|---|---|"]
        for found in others.values():
            lines += [line_text(line) for line in found["lines"]]
        lines.append("")
    return "\n".join(lines)


def _machines(kept: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Each machine with its versions, and, if there are several, which rows are from it."""
    rows = {**kept.get("training", {}), **kept.get("others", {})}
    found: list[tuple[Mapping[str, Any], list[str]]] = []
    for name, row in rows.items():
        for made, names in found:
            if made == row["made_with"]:
                names.append(name)
                break
        else:
            found.append((row["made_with"], [name]))
    return found if len(found) > 1 else [(made, []) for made, _ in found]
