"""A board that is nothing but flash, eFuses and loader: its application is silent."""

import asyncio
from pathlib import Path

from hil.virtual.esprom.efuse import Efuses
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.loader import Loader
from hil.virtual.esprom.nor import FREE, REAL, Nor
from hil.virtual.esprom.rig import Rig, Switches
from hil.virtual.esprom.silicon import SILICON
from hil.virtual.esprom.wire import Wire


class NoApplication:
    """Does nothing, says nothing."""

    def halt(self) -> None:
        """Nothing to stop."""

    def boot(self) -> None:
        """Nothing to start."""

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
    rig = Rig(
        chip,
        Wire(paced=paced, link_baud=link_baud),
        Loader(silicon, efuses, nor, faults),
        faults,
        NoApplication(),
        switches,
        download_allowed=lambda: not efuses.security.no_download,
    )
    rig.power_on()
    return rig


async def serve(rig: Rig) -> None:
    """Until it is cancelled."""
    try:
        await asyncio.Event().wait()
    finally:
        rig.power_off()
