"""Names, allow-list and patterns of ports: an unknown one must be named exactly."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.flashing import ports
from fleet.flashing.errors import NoSuchPort
from fleet.flashing.ports import Port, bridges, find, usb_port, virtual_ports
from fleet.paths import udev_rule


def _usb(**more: Any) -> SimpleNamespace:
    facts = {
        "device": "/dev/ttyUSB3", "vid": 0x10C4, "pid": 0xEA60, "location": "1-3.2:1.0",
        "serial_number": "0001", "product": "CP2102N",
    }  # fmt: skip
    return SimpleNamespace(**{**facts, **more})


def _port(**more: Any) -> Port:
    found = usb_port(_usb(**more), {})
    assert found is not None
    return found


def test_a_usb_port_is_named_by_where_it_is_plugged() -> None:
    port = usb_port(_usb(), {"/dev/ttyUSB3": "/dev/serial/by-path/pci-0:1-usb-0:3.2:1.0-port0"})
    assert port is not None
    assert (port.name, port.hub, port.usb) == ("usb:1-3.2:1.0", "usb:1-3", "10c4:ea60")
    assert (port.model, port.serial_number, port.known) == ("Silicon Labs CP210x", "0001", True)
    assert port.by_path.endswith("port0")
    moved = _port(device="/dev/ttyUSB9")
    assert (moved.name, moved.device) == ("usb:1-3.2:1.0", "/dev/ttyUSB9")
    assert _port(location="1-3").hub == "usb:1"
    assert usb_port(_usb(vid=None), {}) is None


def test_a_dual_bridge_counts_with_its_uart_only() -> None:
    kit = {"vid": 0x0403, "pid": 0x6010}
    assert not _port(**kit, location="1-2:1.0").known  # JTAG
    assert _port(**kit, location="1-2:1.1").known


def test_an_unknown_port_must_be_named_exactly() -> None:
    meter = _port(vid=0x067B, pid=0x2303, device="/dev/ttyUSB0", location="1-1:1.0", product=None)
    board = _port()
    assert (meter.known, meter.model) == (False, "unknown")
    there = [meter, board]
    assert find(["all"], there) == [board]
    assert find(["usb:*"], there) == [board]
    assert find(["/dev/ttyUSB*"], there) == [board]
    assert find(["/dev/ttyUSB0"], there) == [meter]
    assert find(["usb:1-1:1.0"], there) == [meter]
    with pytest.raises(NoSuchPort, match="kapok ports"):
        find(["all"], [meter])


def test_each_port_once_in_the_order_of_the_patterns() -> None:
    first, second = _port(), _port(device="/dev/ttyUSB4", location="1-3.4:1.0")
    there = [first, second]
    assert find(["usb:1-3.4*", "all", "/dev/ttyUSB3"], there) == [second, first]


def _bench(folder: Path, pid: int) -> None:
    board = {"port": "/dev/pts/70", "board": "esp32s3-bc660k", "mac": "3c71bf4a0b1c"}
    boards = [{**board, "name": "1", "hub": "1"}, {**board, "name": "10", "port": "/dev/pts/71"}]
    run = {"pid": pid, "control": "/tmp/control", "boards": boards}
    (folder / "bench.json").write_text(json.dumps(run))


def test_virtual_boards_of_a_bench_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAPOK_BENCH", str(tmp_path))
    monkeypatch.setattr(ports, "usb_ports", list)
    with pytest.raises(NoSuchPort, match="no virtual bench runs"):
        find(["virtual:*"])
    _bench(tmp_path, os.getpid())
    one, ten = virtual_ports(tmp_path)
    assert (one.name, one.device, one.hub) == ("virtual:1", "/dev/pts/70", "virtual:hub:1")
    assert one.virtual
    assert find(["virtual:*"]) == find(["all"]) == [one, ten]
    assert find(["virtual:1"]) == find(["/dev/pts/70"]) == [one]
    with pytest.raises(NoSuchPort, match="virtual:2"):
        find(["virtual:2"])
    _bench(tmp_path, 2**22 + 1)  # above the kernel's largest: the bench was killed
    assert virtual_ports(tmp_path) == []


@given(st.binary(max_size=80) | st.sampled_from([b"{}", b"[]", b'{"pid": 1, "boards": [1]}']))
def test_a_damaged_bench_file_is_one_line(raw: bytes) -> None:
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"kapok-test-bench-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    (folder / "bench.json").write_bytes(raw)
    try:
        with pytest.raises(ports.BenchFileError, match="not written by kapok bench"):
            virtual_ports(folder)
    finally:
        (folder / "bench.json").unlink()
        folder.rmdir()


def test_the_udev_rule_has_every_bridge_of_the_list() -> None:
    rule = udev_rule().read_text()
    for usb in bridges():
        vendor, product = usb.split(":")
        assert f'idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", MODE="0660"' in rule
    assert rule.count("MODE=") == len(bridges())
