"""Every fact of hil/fidelity, asked of the virtual board: told as listed, differences included."""

from pathlib import Path

import pytest
from board_rig import MAC, START, Twin, rig

from fleet.flashing import partitions
from hil.fidelity import facts
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard

RUNS = [(script, chip) for script in facts.scripts() for chip in facts.chips(script)]
# MicroPython's own table of 4 MiB, where the rest of the flash becomes `vfs` at the first boot.
STOCK = """nvs,      data, nvs,     0x9000,   0x6000
phy_init, data, phy,     0xf000,   0x1000
factory,  app,  factory, 0x10000,  0x1F0000
vfs,      data, fat,     0x200000, 0x200000
"""
LAST = {"restarts": "restart.memory-after-all"}  # else: when the script ends


class Echo(Twin):
    """A UART whose tx is its rx."""

    def on_bytes(self, data: bytes) -> None:
        self.port.send(data, self.port.now())


async def asked(folder: Path, script: str, chip: str, source: str = "") -> dict[str, str]:
    """What the board tells when it is given the script."""
    boot = (source or facts.text(script)) + "\nprint('FACT all', None)\n"
    async with rig(folder, boot, chip=chip, twins={1: Echo()}) as r:
        await r.line(f"FACT {LAST.get(script, 'all')} ")
        said = facts.told(r.lines)
    said.pop("all", None)
    return said


@pytest.mark.parametrize(("script", "chip"), [run for run in RUNS if run[0] != "no_ota"])
async def test_the_virtual_board_tells_what_is_listed(
    tmp_path: Path, script: str, chip: str
) -> None:
    said = await asked(tmp_path, script, chip)
    apart = facts.differences(script, chip, said, of="virtual")
    assert not apart, "\n".join(map(str, apart))


async def test_it_does_on_micropythons_own_partition_table(tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_text(STOCK)
    table = partitions.load(path, FLASH_SIZE)
    files = {"/boot.py": facts.text("no_ota").encode()}
    firmware.make_flash(tmp_path / "flash.bin", table, FLASH_SIZE, files)
    lines: list[str] = []
    board = VirtualBoard(tmp_path, MAC, start=START, console=lines.append)
    try:
        await board.run_until(lambda: any("no-ota.set-boot" in line for line in lines))
    finally:
        await board.stop()
    assert facts.differences("no_ota", "esp32s3", facts.told(lines), of="virtual") == []


async def test_a_shim_that_tells_otherwise_is_noticed(tmp_path: Path) -> None:
    """The memory of 2,048 bytes grows, and a listed difference is mended without its row."""
    source = facts.text("rtc")
    changed = source.replace("rtc.memory(bytes(2049))", "None")
    changed = changed.replace("RTC() is rtc", "True")
    assert changed != source
    said = await asked(tmp_path, "rtc", "esp32s3", changed)
    apart = facts.differences("rtc", "esp32s3", said, of="virtual")
    assert [each.fact.id for each in apart] == ["rtc.one-object", "rtc.memory-too-long"]
