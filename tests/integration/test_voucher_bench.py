"""The technician's commands in a basement: a board on a serial port, vouchers, and no fleet."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench_rig import bench, factory
from esp_rig import tool
from voucher_rig import Basement

BOARD = "esp32s3-bc660k"
RATE = 3600  # an hour passes in a second
WAIT_S = 60.0


def offline(folder: Path, b: Basement, *more: str) -> dict[str, Any]:
    """`kapok provision --offline`, in an environment that names no fleet."""
    ran = subprocess.run(
        [sys.executable, "-m", "fleet", "provision", "--ports", "virtual:1", "--node", "gas-meter",
         "--offline", "--voucher-file", str(b.file.path), "--set", "report_records=1",
         "--json", *more],
        env={**os.environ, "KAPOK_BENCH": str(folder / "bench"),
             "XDG_STATE_HOME": str(folder / "state")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result: dict[str, Any]
    (result,) = json.loads(ran.stdout)
    return result


def provisioned(folder: Path, b: Basement) -> None:
    with bench(
        folder / "bench", "--boards", 1, "--board", BOARD, "--rate", RATE, "--pace", "none"
    ) as stand:
        wrote = tool(
            "esptool", folder, "--port", stand.port("1"), "-b", 921_600, "write-flash", "0x0",
            factory(folder, BOARD),
        )  # fmt: skip
        assert wrote.returncode == 0, wrote.stdout
        first = offline(folder, b)
        assert first["result"] == "waits for its first contact"
        deadline = time.monotonic() + WAIT_S
        while not (found := b.query("SELECT DISTINCT terminal_id FROM readings")):
            assert time.monotonic() < deadline, stand.do("1", "state")
            time.sleep(0.1)
        assert found == [(first["node_id"],)]
        assert b.query("SELECT node_id FROM voucher_claims") == [(first["node_id"],)]
        again = offline(folder, b, "--boot-watch", "0")
        assert again["result"] == "already provisioned"


async def test_a_board_is_provisioned_offline_and_claims_when_it_has_a_network(
    tmp_path: Path,
) -> None:
    b = Basement(tmp_path, "coap")
    await b.open(1)
    try:
        await asyncio.to_thread(provisioned, tmp_path, b)
    finally:
        await b.close()
