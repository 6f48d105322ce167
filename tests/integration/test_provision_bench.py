"""`kapok provision` with the real esptool on a virtual board, and no key left behind anywhere."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from fleet.flashing import nvs, partitions
from fleet.identity.client import key_pem
from fleet.releases.target import Target
from hil.fleet_process import READY_S, FleetProcess, die_with_parent
from tests.bench.warm import warm

BOARD = "esp32s3-bc660k"
OFFSET, SIZE = 0x9000, 0x4000
CUT = 46_000


class Rig:
    """A fleet, and a bench of one blank board whose flash has a partition table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = FleetProcess(
            folder / "data", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )
        self.environment = {
            **os.environ,
            "KAPOK_DATA": str(folder / "data"),
            "KAPOK_BENCH": str(folder / "bench"),
            **{name: str(folder / name.lower()) for name in
               ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
                "XDG_RUNTIME_DIR")},
        }  # fmt: skip
        for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR"):
            Path(self.environment[name]).mkdir()
        warm(Path(self.environment["XDG_CACHE_HOME"]), Target("gas-meter", BOARD))
        self._bench: asyncio.subprocess.Process | None = None
        self.token = ""

    async def start(self) -> None:
        """Until both run."""
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        made = await self.fleet.command(
            "token", "add", "--person", "Li Wei", "--area", "440106", "--node", "gas-meter",
            "--count", "3", "--json",
        )  # fmt: skip
        self.token = json.loads(made)["token"]
        await self.fleet.start()
        self._bench = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet", "bench", "--boards", "1", "--board", BOARD,
            "--pace", "none",
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        await asyncio.to_thread(_until_there, self.folder / "bench" / "bench.json")

    def esptool(self, *words: str) -> None:
        """The unmodified tool on the board, whose port may have another name after a power-on."""
        told = json.loads((self.folder / "bench" / "bench.json").read_text())
        done = subprocess.run(
            [sys.executable, "-m", "esptool", "--port", told["boards"][0]["port"], *words],
            env=self.environment, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    def provision(self, *more: str) -> tuple[int, Any, str]:
        """Exit code, answer and what went to standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "fleet", "provision", "--ports", "virtual:*", "--node",
             "gas-meter", "--boot-watch", "0", "--json", *more],
            env={**self.environment, "KAPOK_TOKEN": self.token}, capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout or "null"), done.stderr

    def flash(self) -> bytes:
        """The board's flash, from the file that is the chip."""
        (found,) = self.folder.glob("bench/*/flash.bin")
        return found.read_bytes()

    async def stop(self) -> None:
        """End both."""
        if self._bench is not None:
            self._bench.terminate()
            await self._bench.wait()
        await self.fleet.stop()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Both run, and the board has a partition table."""
    made = Rig(tmp_path)
    await made.start()
    table = made.folder / "table.bin"
    rows = partitions.load(Path("hw/partitions/4MiB.csv"), 4 << 20)
    table.write_bytes(partitions.encode(rows))
    await asyncio.to_thread(made.esptool, "write-flash", "0x8000", str(table))
    yield made
    await made.stop()


def _until_there(path: Path) -> None:
    end = time.monotonic() + READY_S
    while not path.exists():
        assert time.monotonic() < end, "the bench does not start"
        time.sleep(0.05)


def needles(ours: dict[str, Any]) -> dict[str, bytes]:
    """Every form in which a secret could lie somewhere."""
    found: dict[str, bytes] = {"hmac": ours["hmac"], "oscore": ours["oscore"][-16:]}
    for name in ("key", "key2"):
        private = load_der_private_key(ours[name], None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        scalar = private.private_numbers().private_value.to_bytes(32, "big")
        pem = bytes(key_pem(ours[name])).split(b"\n")[1]
        found |= {f"{name} DER": ours[name], f"{name} scalar": scalar, f"{name} PEM": pem}
    for name, raw in list(found.items()):
        found[f"{name} hex"] = raw.hex().encode()
        found[f"{name} base64"] = base64.b64encode(raw).rstrip(b"=")[:-2]
    return found


def lying_in(folder: Path, secrets: dict[str, bytes], skip: Path) -> list[str]:
    """Which of them lie in which file."""
    return [
        f"{name} in {path.relative_to(folder)}"
        for path in folder.rglob("*")
        if path.is_file() and not path.is_relative_to(skip)
        for name, secret in secrets.items()
        if secret in path.read_bytes()
    ]


async def test_a_board_is_provisioned_after_a_cut_and_no_secret_lies_anywhere_else(
    rig: Rig,
) -> None:
    # The plug is pulled in the write, or behind it: stub and questions take 41,000 bytes.
    await asyncio.to_thread(_ctl, rig, "unplug-after", f"bytes={CUT}")
    code, answer, _ = await asyncio.to_thread(rig.provision)
    assert code == 1, answer
    torn = rig.flash()[OFFSET : OFFSET + SIZE]
    assert torn != b"\xff" * SIZE
    await asyncio.to_thread(_ctl, rig, "power-on")

    code, answer, errors = await asyncio.to_thread(rig.provision)
    assert (code, errors) == (0, ""), (answer, errors)
    assert answer[0]["result"] in ("provisioned", "confirmed")  # by how far the write came
    listed = json.loads(await rig.fleet.command("token", "list", "--json"))
    assert [one["used"] for one in listed] == [1]
    raw = rig.flash()[OFFSET : OFFSET + SIZE]
    ours: Any = nvs.decode(raw)["kapok"]
    secrets = needles(ours)
    bench = rig.folder / "bench"
    assert lying_in(rig.folder, secrets, bench) == []
    # The search finds what is there: on the board, and where a careless laptop would leave it.
    assert lying_in(bench, {"key DER": ours["key"]}, rig.folder / "data") != []
    shutil.copy(next(bench.glob("*/flash.bin")), rig.folder / "tmpdir" / "nvs.bin")
    assert lying_in(rig.folder, secrets, bench) != []

    code, answer, _ = await asyncio.to_thread(rig.provision)
    assert (code, answer[0]["result"]) == (0, "already provisioned")
    assert rig.flash()[OFFSET : OFFSET + SIZE] == raw

    await asyncio.to_thread(rig.esptool, "erase-region", hex(OFFSET), hex(SIZE))
    code, answer, _ = await asyncio.to_thread(rig.provision)
    assert (code, "--again keep-identity, keep-history or new" in answer[0]["error"]) == (1, True)
    code, answer, _ = await asyncio.to_thread(rig.provision, "--again", "keep-identity")
    assert (code, answer[0]["policy"]) == (0, "keep-identity")
    shown = json.loads(await rig.fleet.command("node", "show", answer[0]["node_id"], "--json"))
    assert [one["serial"] for one in shown["certificates"] if one["live"]] == [answer[0]["serial"]]


def _ctl(rig: Rig, do: str, *more: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "bench", "ctl", "1", do, *more],
        env=rig.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
