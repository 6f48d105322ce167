"""A board that is nothing but flash, eFuses and ROM: what it would boot, it does not run."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hil.virtual.esprom.efuse import Efuses
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.loader import Loader
from hil.virtual.esprom.nor import FREE, REAL, Nor
from hil.virtual.esprom.rig import Rig, Switches
from hil.virtual.esprom.silicon import SILICON
from hil.virtual.esprom.wire import Wire

IMAGE_MAGIC = 0xE9
WATCHDOG_S = 0.5  # after which the ROM tries again
POWER_LOG = "rst:0x1 (POWERON),boot:{:#x} (SPI_FAST_FLASH_BOOT)"
BOOT_MODE = {"esp32": 0x13, "esp32s3": 0x8, "esp32c3": 0xC}  # of the strap pins
BOOTLOADER = {"esp32": 0x1000, "esp32s3": 0, "esp32c3": 0}


class NoApplication:
    """Says what the ROM says before it starts a bootloader, or finds none."""

    def __init__(self, chip: str, nor: Nor) -> None:
        self._chip = chip
        self._nor = nor
        self._again: asyncio.TimerHandle | None = None
        self.say: Callable[[bytes], None] = lambda data: None

    def boot(self) -> None:
        """The ROM's first lines, over and over where it finds no bootloader."""
        self.halt()
        lines = ["", POWER_LOG.format(BOOT_MODE[self._chip])]
        head = self._nor.read(BOOTLOADER[self._chip], 4)
        if head[0] != IMAGE_MAGIC:
            lines.append(f"invalid header: 0x{head[::-1].hex()}")
            self._again = asyncio.get_running_loop().call_later(WATCHDOG_S, self.boot)
        self.say("\r\n".join([*lines, ""]).encode())

    def reset(self) -> None:
        """The same again."""
        self.boot()

    def halt(self) -> None:
        """Says no more."""
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def cut(self) -> None:
        """Says no more."""
        self.halt()

    async def gone(self) -> None:
        """It is at once."""

    def type_in(self, data: bytes) -> None:
        """Nobody hears it."""

    def opened(self) -> None:
        """Nobody sees it."""


def make(
    chip: str,
    folder: Path,
    mac: bytes,
    *,
    flash_size: int,
    paced: bool = False,
    link_baud: int = 0,
    faults: Faults | None = None,
    switches: Switches | None = None,
) -> Rig:
    """A powered board in `folder` (`flash.bin`, `efuse.bin`), in a running loop."""
    silicon = SILICON[chip]
    faults = faults or Faults()
    folder.mkdir(parents=True, exist_ok=True)
    efuses = Efuses(silicon, folder / "efuse.bin", mac)
    nor = Nor(folder / "flash.bin", flash_size, REAL if paced else FREE)
    application = NoApplication(chip, nor)
    rig = Rig(
        chip,
        Wire(paced=paced, link_baud=link_baud),
        Loader(silicon, efuses, nor, faults),
        faults,
        application,
        switches,
        download_allowed=lambda: not efuses.security.no_download,
    )
    application.say = rig.say
    rig.power_on()
    return rig


async def serve(rig: Rig) -> None:
    """Until it is cancelled."""
    try:
        await asyncio.Event().wait()
    finally:
        rig.power_off()
