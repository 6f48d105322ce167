"""The master station of the suite's gateway test: a process that ends with its test."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hil.pytest_plugin.options import MARKERS


def _fails(station: Any) -> None:
    with station:
        raise AssertionError("too late")


def test_a_station_ends_with_its_test_however_that_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    for marker in MARKERS:
        pytestconfig.addinivalue_line("markers", marker)
    from hil.tests.test_gateway import Station

    waits = tmp_path / "waits"
    waits.write_text("#!/bin/sh\nexec sleep 600\n")
    waits.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(waits))
    fleet: Any = SimpleNamespace(data=tmp_path)
    node: Any = SimpleNamespace(id="0000000001")
    station = Station(fleet, node, [b""])
    assert station._process.poll() is None
    with pytest.raises(AssertionError, match="too late"):
        _fails(station)
    assert station._process.poll() is not None
    assert not station.is_alive()
