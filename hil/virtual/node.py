"""A virtual node: board, firmware, modem twin and scene, provisioned as a real one would be."""

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fleet.flashing.built import Built
from fleet.flashing.hardware import BUS_UART, load_board
from fleet.flashing.journal import JournalContent
from fleet.paths import firmware_dir
from fleet.releases import rescue, slots
from fleet.wire import cbor, nodeid
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, BoardError, VirtualBoard
from hil.virtual.fittings import Fittings
from hil.virtual.journal_view import read_journal
from hil.virtual.modem import ModemTwin
from hil.virtual.pace import Pace
from hil.virtual.scenes import Scene
from hil.virtual.stimulus import Stimulus
from hil.virtual.twin import UartTwin

NAMESPACE = "kapok"  # of NVS, as in firmware/node/config.py
UART = 1
MODEM_PINS = ("reset", "pwrkey", "dtr", "psm_exit", "cut")  # as in firmware/node/link/modem.py


class Credentials(NamedTuple):
    """What a node gets at provisioning: DER bytes, CBOR [kid, secret] for OSCORE, and the key for
    commands; empty: it has none.
    """

    key: bytes
    certificate: bytes
    root: bytes
    oscore: bytes
    hmac: bytes = b""


def mac_of(seed: str) -> bytes:
    """A locally administered MAC address, the same for the same seed."""
    return b"\x02" + hashlib.sha256(seed.encode()).digest()[:5]


def _built(sources: Path) -> Built:
    out = slots.cache_dir() / "node"
    return Built(slots.build(sources, out), rescue.build(sources, out))


@functools.cache
def _shipped() -> Built:
    """Of the project's own sources: the same for each node of a town."""
    return _built(firmware_dir())


class VirtualNode:
    """One node in `folder`. Make it inside a running loop; `provision` it before `board.start`."""

    def __init__(
        self,
        folder: Path,
        mac: bytes,
        scene: Scene,
        *,
        seed: int = 0,
        heapsize: str = "192k",
        pace: Pace | None = None,
        haste: float = 1.0,
        console: Callable[[str], None] | None = None,
        serial: Callable[[bytes], None] | None = None,
        sources: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.scene = scene
        self.node_id = nodeid.from_mac(mac)
        self._description = load_board(scene.board)
        self.files, rescued = _built(sources) if sources else _shipped()
        table = self._description.table
        flash = folder / "flash.bin"
        if not flash.exists():
            firmware.make_flash(flash, table, FLASH_SIZE, self.files, self._description.chip)
            firmware.put_files(flash, table, "rescue", rescued)
        if self._description.modem is None:
            raise BoardError(f"{scene.board} has no modem of its own: the scene needs one")
        self.twin = ModemTwin(self._description.modem, seed=seed)
        pins = self._description.node_pins
        twins: dict[int, UartTwin] = {UART: self.twin}
        wires = {pins[name]: (UART, name) for name in MODEM_PINS if name in pins}
        if scene.bus is not None:
            twins[BUS_UART] = scene.bus
            if "bus_de" in pins:
                scene.bus.enabled_by_pin()
                wires[pins["bus_de"]] = (BUS_UART, "de")
        self.board = VirtualBoard(
            folder,
            mac,
            chip=self._description.chip,
            start=scene.start_us,
            heapsize=heapsize,
            stimulus=Stimulus(scene.schedule()),
            twins={**twins, **scene.twins},
            wires=wires,
            wheels={pins["pulse"]: pins["pulse2"]} if "pulse2" in pins else None,
            pace=pace,
            haste=haste,
            console=console,
            serial=serial,
        )
        self.fittings = Fittings(self.board, pins)
        valve = self.fittings.valve
        if valve is not None:
            scene.shut = lambda: valve.closed
        scene.attach(self.board, pins)

    def provision(self, credentials: Credentials, host: str, port: int, **more: Any) -> None:
        """Write credentials and configuration to NVS; `more` replaces keys of the scene's."""
        config: Mapping[str, Any] = {
            "node": self.node_id,
            "role": self.scene.role,
            "modem": self._description.modem,
            "apn": "",
            "host": host,
            "port": port,
            "pins": self._description.node_pins,
            "board": self._description.name,
            **self.scene.config,
            **more,
        }
        self.board.nvs.set_blob(NAMESPACE, "cfg", cbor.encode(config))
        self.board.nvs.set_blob(NAMESPACE, "key", credentials.key)
        self.board.nvs.set_blob(NAMESPACE, "cert", credentials.certificate)
        self.board.nvs.set_blob(NAMESPACE, "ca", credentials.root)
        self.board.nvs.set_blob(NAMESPACE, "oscore", credentials.oscore)
        if credentials.hmac:
            self.board.nvs.set_blob(NAMESPACE, "hmac", credentials.hmac)

    def wipe(self) -> None:
        """Format the file system with fresh firmware: the journal is gone, identity stays."""
        self.board.wipe_vfs(self.files)

    def journal(self) -> JournalContent:
        """What the journal on flash holds."""
        return read_journal(self.board)
