"""One place of the bench: a board with its flash, eFuses, loader, port, and what it runs."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from fleet.flashing.hardware import HardwareError, load_board
from fleet.wire import nodeid
from hil.virtual.bench.folder import BenchError
from hil.virtual.bench.spec import Spec
from hil.virtual.esprom.bare import NoApplication
from hil.virtual.esprom.efuse import EfuseError, Efuses
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.loader import Loader
from hil.virtual.esprom.nor import FREE, REAL, Nor, NorError
from hil.virtual.esprom.rig import Application, Rig, Switches
from hil.virtual.esprom.silicon import SILICON, Field
from hil.virtual.esprom.wire import Wire

VENDOR = bytes.fromhex("3c71bf")  # Espressif's; the rest of a MAC address is drawn by chance
PER_HUB = 4


@dataclass(frozen=True)
class Setting:
    """What all places have in common. `paced`: wire and flash take their time."""

    paced: bool = True
    link_baud: int = 0
    rate: float = 1.0  # virtual seconds in a real one while nothing but time passes
    scenario: str | None = None  # of the modems
    switches: Switches | None = None


class Maker(Protocol):
    """Makes what a board runs; `say` is where its serial console goes."""

    def __call__(self, place: "Place", say: Callable[[bytes], None]) -> Application: ...


class Place:
    """Board `name` in `folder`/`name`, powered by `start`. In a running loop."""

    def __init__(
        self, name: str, number: int, spec: Spec, folder: Path, setting: Setting, maker: Maker
    ) -> None:
        self.name = name
        self.number = number
        self.spec = spec
        self.folder = folder / name
        self.setting = setting
        try:
            self.board = load_board(spec.board)
        except HardwareError as e:
            raise BenchError(str(e)) from None
        self.chip = self.board.chip
        if self.chip not in SILICON:
            raise BenchError(f"{spec.board} has a chip {self.chip!r}, whose loader is not played")
        chip = SILICON[self.chip]
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.efuses = Efuses(chip, self.folder / "efuse.bin", VENDOR + os.urandom(3))
            self.nor = Nor(
                self.folder / "flash.bin",
                self.board.flash_bytes,
                REAL if setting.paced else FREE,
            )
        except (EfuseError, NorError) as e:
            raise BenchError(str(e)) from None
        self.mac = self.efuses.mac
        self._burn(spec.security)
        self.faults = Faults(**spec.faults)  # type: ignore[arg-type]  # spec.KEYS has the names
        self._maker = maker
        self.application = maker(self, self._say)
        self.rig = Rig(
            self.chip,
            Wire(paced=setting.paced, link_baud=setting.link_baud),
            Loader(chip, self.efuses, self.nor, self.faults),
            self.faults,
            self.application,
            setting.switches,
            download_allowed=lambda: not self.efuses.security.no_download,
        )

    async def renew(self) -> None:
        """Off, and as it was when it was plugged in first, but for flash and eFuses: real time,
        its modem and the air about it as at the beginning, nothing odd about it but what its spec
        says.
        """
        self.rig.power_off()
        await self.application.gone()
        for key, value in asdict(Faults(**self.spec.faults)).items():  # type: ignore[arg-type]
            setattr(self.faults, key, value)
        self.application = self._maker(self, self._say)
        self.rig.put(self.application)

    def facts(self) -> dict[str, Any]:
        """For `bench.json`."""
        return {
            "name": self.name,
            "port": self.rig.wire.name,
            "board": self.spec.board,
            "chip": self.chip,
            "mac": self.mac.hex(),
            "node_id": nodeid.from_mac(self.mac),
            "hub": str((self.number - 1) // PER_HUB + 1),
        }

    def state(self) -> dict[str, Any]:
        """What it does now."""
        return {
            "state": self.rig.state,
            "open": self.rig.wire.open,
            "faults": asdict(self.faults),
            "security": self.efuses.security._asdict(),
            **(more() if (more := getattr(self.application, "state", None)) else {}),
        }

    def _say(self, data: bytes) -> None:
        self.rig.say(data)

    def _burn(self, security: tuple[str, ...]) -> None:
        chip = SILICON[self.chip]
        bits: dict[str, Field | None] = {
            "encrypted": chip.crypt_count,
            "secure-boot": chip.secure_boot[-1],
            "secure-download": chip.secure_download,
            "no-download": chip.no_download,
        }
        for name in security:
            field = bits[name]
            if field is None:
                raise BenchError(f"{self.spec.board}: an {self.chip} has no {name} mode")
            self.efuses.burn(field, 1)


def bare(place: Place, say: Callable[[bytes], None]) -> Application:
    """Nothing runs."""
    application = NoApplication(place.chip, place.nor)
    application.say = say
    return application
