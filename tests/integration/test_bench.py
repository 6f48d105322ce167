"""`kapok bench`: boards in one process, each a port for the real tools, with a control socket."""

import json
import random
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench_rig import bench, command
from cli_rig import out, refusal
from esp_rig import open_port, tool

from hil.virtual.bench.folder import BenchError

S3 = "esp32s3-bc660k"


def test_boards_are_flashed_side_by_side_and_are_themselves_after_a_restart(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "bench"
    code = tmp_path / "code.bin"
    code.write_bytes(random.Random(1).randbytes(70_000))
    with bench(folder, "--boards", 2, "--also", "esp32-ec200") as stand:
        boards = stand.facts["boards"]
        assert [board["name"] for board in boards] == ["1", "2", "3"]
        assert [board["chip"] for board in boards] == ["esp32s3", "esp32s3", "esp32"]
        assert len({board["node_id"] for board in boards}) == 3
        assert (folder / "runtime-esp32s3.bin").stat().st_size > 1_500_000

        def flash(port: str) -> str:
            return tool("esptool", tmp_path, "--port", port, "write-flash", "0x10000", code).stdout

        with ThreadPoolExecutor() as pool:
            said = list(pool.map(flash, (stand.port("1"), stand.port("3"))))
        assert all("Hash of data verified" in text for text in said), said
        mac = boards[2]["mac"]
        assert bytes.fromhex(mac).hex(":") in said[1]
    with bench(folder) as stand:
        assert [board["mac"] for board in stand.facts["boards"]] == [b["mac"] for b in boards]
        verified = tool(
            "esptool", tmp_path, "--port", stand.port("3"), "verify-flash", "0x10000", code
        )
        assert verified.returncode == 0, verified.stdout
        assert (folder / "2" / "flash.bin").read_bytes() == b"\xff" * (4 << 20)


def test_one_bench_a_folder_and_only_its_own_boards(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    with bench(folder, "--boards", 1):
        line = refusal(tmp_path, "bench", "--folder", folder)
        assert "a bench runs on" in line
    assert "board 1" in refusal(tmp_path, "bench", "--folder", folder, "--also", "esp32-ec200",
                                "--boards", 0)  # fmt: skip
    assert "no bench runs" in refusal(tmp_path, "bench", "list", "--folder", folder)
    assert "hw/boards has no 'nonsense'" in refusal(
        tmp_path, "bench", "--folder", tmp_path / "other", "--also", "nonsense"
    )
    for odd, why in (("dies-at=101%", "no such number"), ("sleepy", "none of dies-at"),
                     ("silent=1", "takes no value")):  # fmt: skip
        line = refusal(tmp_path, "bench", "--folder", folder, "--also", f"{S3},{odd}")
        assert why in line
    assert "no secure-download mode" in refusal(
        tmp_path, "bench", "--folder", tmp_path / "third", "--boards", 0,
        "--also", "esp32-ec200,secure-download",
    )  # fmt: skip


def test_a_killed_bench_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    process = subprocess.Popen(
        command(folder, "--boards", 1, "--json"), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    process.kill()
    process.communicate()
    assert "no bench runs" in refusal(tmp_path, "bench", "press", "1", "--folder", folder)
    with bench(folder) as stand:
        assert stand.facts["boards"][0]["mac"] == first["boards"][0]["mac"]


def test_the_control_socket_moves_a_board_and_refuses_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    with bench(folder, "--boards", 2) as stand:
        port = stand.port("1")
        with open_port(port) as opened:
            assert stand.do("1", "loader")["state"] == "loader"
            assert b"waiting for download" in opened.read_until(b"download\r\n")
            assert stand.do("1", "reset")["state"] == "app"
            assert b"POWERON" in opened.read_until(b"POWERON")
            assert stand.do("1", "state")["open"] is True
        with open_port(port) as opened:
            assert stand.do("1", "power-off") == {"ok": True, "state": "off"}
            # Not by its path: another PTY may have the number now.
            with pytest.raises(OSError, match=r"Errno|readiness to read"):
                opened.read(1)
        told = json.loads((folder / "bench.json").read_text())
        assert ([b["name"] for b in told["boards"]], told["unplugged"]) == (["2"], ["1"])
        with pytest.raises(BenchError, match="unplugged: power-on plugs it in"):
            stand.do("1", "reset")
        assert Path(stand.do("1", "power-on")["port"]).exists()
        for name, do, more, why in (
            ("9", "reset", {}, "no board '9': 1, 2"),
            ("1", "dance", {}, "'dance' is none of reset"),
            ("1", "unplug-after", {"bytes": -1}, "a number"),
            ("1", "fault", {"set": {"luck": 1}}, "'luck' is none of"),
            ("1", "fault", {"set": {"silent": 3}}, "silent cannot be 3"),
            ("1", "fault", {"set": {"nak_blocks": None}}, "nak_blocks cannot be None"),
            ("1", "press", {"pin": "nose"}, "no pin 'nose'"),
        ):
            with pytest.raises(BenchError, match=why):
                stand.do(name, do, **more)
        stand.do("1", "unplug-after", bytes=9)
        stand.do("1", "fault", set={"unplug_after": None})  # it may be called off
        assert stand.do("1", "state")["faults"]["unplug_after"] is None
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(stand.facts["control"])
            raw.sendall(b"{\n[1]\n" + b"[" * 10_000 + b"\n")
            lines = raw.makefile("rb")
            assert all(b"error" in lines.readline() for _ in range(3))
        text = out(tmp_path, "bench", "ctl", "virtual:1", "fault", "silent=true",
                   "--folder", folder)  # fmt: skip
        assert text == ""
        assert '"silent": true' in out(
            tmp_path, "bench", "ctl", "1", "state", "--folder", folder, "--json"
        )


def test_a_board_unplugged_on_command_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    code = tmp_path / "code.bin"
    code.write_bytes(random.Random(1).randbytes(70_000))
    with bench(folder, "--boards", 1) as stand:
        stand.do("1", "unplug-after", bytes=20_000)
        died = tool("esptool", tmp_path, "--port", stand.port("1"), "write-flash", "0", code)
        assert died.returncode != 0
        assert stand.do("1", "state")["state"] == "off"
        stand.do("1", "power-on")
        again = tool("esptool", tmp_path, "--port", stand.port("1"), "write-flash", "0", code)
        assert again.returncode == 0, again.stdout


def test_ctrl_c_in_the_middle_of_a_write_ends_it_well(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    code = tmp_path / "code.bin"
    code.write_bytes(random.Random(1).randbytes(300_000))
    with bench(folder, "--boards", 1, "--link-baud", 460_800, pace="real") as stand:
        writing = subprocess.Popen(
            ["esptool", "--port", stand.port("1"), "write-flash", "0", str(code)],
            executable=str(Path(sys.executable).with_name("esptool")),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        flash = folder / "1" / "flash.bin"
        deadline = time.monotonic() + 60
        while flash.read_bytes()[:4096] == b"\xff" * 4096:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    writing.send_signal(signal.SIGTERM)
    writing.wait(timeout=60)
