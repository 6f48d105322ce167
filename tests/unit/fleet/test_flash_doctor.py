"""What the doctor finds out about this machine, and the udev rule that it installs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.flashing import checkup, udev
from fleet.flashing.holders import Holder, holders
from fleet.paths import udev_rule


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    master, slave = os.openpty()
    name = os.ttyname(slave)
    os.close(slave)
    yield master, name
    os.close(master)


def test_a_missing_port_is_told_from_a_denied_one(terminal: tuple[int, str]) -> None:
    missing = checkup.access("/dev/ttyUSB77", "ann", set(), root=False)
    assert (missing.ok, missing.what) == (False, "port")
    assert "is not there" in missing.text
    no_port = checkup.access(__file__, "ann", set(), root=True)
    assert "is no serial port" in no_port.text
    assert checkup.access(terminal[1], "ann", set(), root=True).ok


def test_a_denied_port_names_its_group(
    monkeypatch: pytest.MonkeyPatch, terminal: tuple[int, str]
) -> None:
    device = terminal[1]
    status = os.stat(device)
    monkeypatch.setattr(os, "getuid", lambda: status.st_uid + 1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    denied = checkup.access(device, "ann", set(), root=False)
    assert not denied.ok
    assert "sudo usermod -aG" in denied.text
    assert "ann is not in it" in denied.text
    os.chmod(device, 0o660)
    assert checkup.access(device, "ann", {status.st_gid}, root=False).ok


def test_who_has_a_port_open(terminal: tuple[int, str]) -> None:
    code = "import os,sys; os.open(sys.argv[1], 258); print(1, flush=True); input()"  # O_NOCTTY
    process = subprocess.Popen(
        [sys.executable, "-c", code, terminal[1]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"1\n"
        found = holders(terminal[1])
        assert [holder.pid for holder in found] == [process.pid]
    finally:
        process.communicate(b"\n")
    assert holders(terminal[1]) == []
    assert str(Holder(7, "cat")) == "cat (process 7)"


def test_the_tools_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [found.ok for found in checkup.tools()] == [True, True]
    monkeypatch.setattr(checkup, "TOOLS", ("esptool", "no_such_tool"))
    assert checkup.tools()[1].text.startswith("missing: ")


def test_the_rule_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev.shutil, "which", lambda _: None)  # type: ignore[attr-defined]
    assert not udev.installed(tmp_path)
    assert udev.install(tmp_path)[0] == f"wrote {tmp_path}/70-kapok.rules"
    assert (tmp_path / "70-kapok.rules").read_bytes() == udev_rule().read_bytes()
    assert "there already" in udev.install(tmp_path)[0]


def test_without_root_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(udev, "write_atomic", denied)
    with pytest.raises(udev.UdevError, match="needs root: sudo"):
        udev.install(tmp_path)
