"""The program that measures what watching costs runs, and tells both networks."""

from __future__ import annotations

import pytest

from benchmarks import diagnosis


def test_it_tells_what_watching_costs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    networks = diagnosis.networks
    monkeypatch.setattr(diagnosis, "networks", lambda: {"tiny": networks()["tiny"]})
    diagnosis.main(pairs=2, seconds=0.05)
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[0] == "tiny"
    assert row[2] == row[4] == "µs"
