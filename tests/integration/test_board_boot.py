"""What boots from a flash image, and what ROM and bootloader say when nothing does."""

import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from board_rig import MAC, START, flash

from fleet.flashing import nvs, partitions
from hil.virtual import flash_boot, runtime_image
from hil.virtual.board import VirtualBoard
from hil.virtual.flash_boot import About, BootFault

BOOT = """
    import esp32
    print("runs", esp32.Partition(esp32.Partition.RUNNING).info()[4])
"""
OTA_0, OTA_1, OTADATA = 0x10000, 0x190000, 0xD000


def put(folder: Path, offset: int, data: bytes) -> None:
    with (folder / "flash.bin").open("r+b") as file:
        file.seek(offset)
        file.write(data)


def otadata(sequence: int, state: int = 0xFFFFFFFF) -> bytes:
    raw = struct.pack("<I", sequence)
    return raw + b"\xff" * 20 + struct.pack("<II", state, zlib.crc32(raw, 0xFFFFFFFF))


@asynccontextmanager
async def board(folder: Path, sent: bytearray) -> AsyncIterator[VirtualBoard]:
    made = VirtualBoard(folder, MAC, start=START, serial=sent.extend)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.mark.parametrize(
    ("offset", "data", "words", "reason"),
    [
        (0, b"\xff" * 0x8000, "invalid header: 0xffffffff", "rst:0x7 (TG0WDT_SYS_RST)"),
        (0x8000, b"\xff" * 0xC00, "partition 0 invalid magic number 0xffff", "rst:0xc"),
        (0x8004, b"\x12", "MD5 checksum mismatch", "rst:0xc"),
        (0x8000, b"\0" * 0xC00, "load partition table error!", "rst:0xc"),
        (OTA_0, b"\xff" * 4096, "has invalid magic byte (nothing flashed here?)", "rst:0xc"),
        (OTA_0 + 50_000, b"\x12\x34", "esp_image: Checksum failed. Calculated 0x", "rst:0xc"),
        (OTA_0, runtime_image.app("esp32"), "mismatch chip ID, expected 9, found 0", "rst:0xc"),
    ],
)
async def test_a_damaged_flash_is_a_reset_loop_in_the_chips_own_words(
    tmp_path: Path, offset: int, data: bytes, words: str, reason: str
) -> None:
    flash(tmp_path, BOOT)
    good = (tmp_path / "flash.bin").read_bytes()
    put(tmp_path, offset, data)
    sent = bytearray()
    async with board(tmp_path, sent) as b:
        await b.run_until(lambda: b.life.boot_faults >= 3)
        b.start()
        assert b.state == "boot"
        assert words in b.life.boot_fault
        assert sent.count(words.encode()) >= b.life.boot_faults
        assert reason.encode() in sent
        assert b"runs" not in sent
        b.halt()  # the loader mends it
        (tmp_path / "flash.bin").write_bytes(good)
        b.release()
        await b.run_until(lambda: b"runs ota_0" in sent)
        assert b.life.boot_fault == ""


async def test_an_erased_flash_with_a_runtime_gets_a_file_system_and_the_prompt(
    tmp_path: Path,
) -> None:
    flash(tmp_path, BOOT)
    rows = VirtualBoard(tmp_path, MAC).table
    vfs = partitions.find(rows, "vfs")
    put(tmp_path, vfs.offset, b"\xff" * vfs.size)
    sent = bytearray()
    async with board(tmp_path, sent) as b:
        await b.run_until(lambda: sent.endswith(b">>> "))
        b.start()
        b.type_in(b"import os; os.statvfs('/')[2]\r")
        await b.run_until(lambda: f"\r\n{vfs.size // 4096}\r\n".encode() in sent)


@pytest.mark.parametrize("damaged", [True, False])
async def test_a_file_system_that_is_damaged_or_missing_leaves_the_prompt(
    tmp_path: Path, damaged: bool
) -> None:
    flash(tmp_path, BOOT)
    rows = VirtualBoard(tmp_path, MAC).table
    vfs = partitions.find(rows, "vfs")
    if damaged:
        put(tmp_path, vfs.offset, b"\x55" * 0x3000)
    else:
        put(tmp_path, 0x8000, partitions.encode([row for row in rows if row != vfs]))
    sent = bytearray()
    async with board(tmp_path, sent) as b:
        if damaged:
            await b.run_until(lambda: b"appears to be corrupted" in sent)
            b.start()
            b.type_in(b"\x03")
        await b.run_until(lambda: sent.endswith(b">>> "))
        b.start()
        b.type_in(b"5 * 5\r")
        await b.run_until(lambda: b"\r\n25\r\n" in sent)
        assert b.life.crashes == 0


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([otadata(1), otadata(2)], "ota_1"),
        ([otadata(3), otadata(2)], "ota_0"),
        ([otadata(1), otadata(2)[:-1] + b"\0"], "ota_0"),  # its CRC is wrong
        ([otadata(1), otadata(2, state=4)], "ota_0"),  # aborted: the bootloader rolled it back
        ([b"", b""], "ota_0"),
    ],
)
def test_otadata_chooses_the_runtime(tmp_path: Path, entries: list[bytes], expected: str) -> None:
    flash(tmp_path, BOOT)
    put(tmp_path, OTA_1, runtime_image.app("esp32s3", "1.29.0"))
    for n, entry in enumerate(entries):
        put(tmp_path, OTADATA + n * 4096, entry)
    assert flash_boot.look(tmp_path / "flash.bin", "esp32s3").running.label == expected


def test_a_slot_that_cannot_boot_falls_back_to_the_other(tmp_path: Path) -> None:
    flash(tmp_path, BOOT)
    put(tmp_path, OTADATA, otadata(2))  # ota_1, where nothing lies
    assert flash_boot.look(tmp_path / "flash.bin", "esp32s3").running.label == "ota_0"
    with pytest.raises(BootFault, match="invalid header: 0x"):
        flash_boot.look(tmp_path / "flash.bin", "esp32")  # whose bootloader lies at 0x1000


async def test_what_the_generator_wrote_to_nvs_is_what_the_firmware_reads(tmp_path: Path) -> None:
    boot = """
        import esp32
        nvs, buffer = esp32.NVS("kapok"), bytearray(5000)
        size = nvs.get_blob("cert", buffer)
        print("cert", size, sum(buffer[:size]), nvs.get_i32("n"))
        nvs.set_i32("n", 8)
        nvs.commit()
        print("done")
    """
    flash(tmp_path, boot)
    cert = bytes(range(256)) * 17
    put(tmp_path, 0x9000, nvs.encode({"kapok": {"cert": cert, "n": 7}}, 0x4000))
    sent = bytearray()
    async with board(tmp_path, sent) as b:
        await b.run_until(lambda: b"done" in sent)
        assert f"cert {len(cert)} {sum(cert)} 7\r\n".encode() in sent
    raw = (tmp_path / "flash.bin").read_bytes()[0x9000:0xD000]
    assert nvs.decode(raw) == {"kapok": {"cert": cert, "n": 8}}


def test_sabotage_without_the_look_a_flash_of_another_chip_would_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash(tmp_path, BOOT)
    put(tmp_path, OTA_0, runtime_image.app("esp32c3"))
    with pytest.raises(BootFault, match="mismatch chip ID"):
        flash_boot.look(tmp_path / "flash.bin", "esp32s3")
    monkeypatch.setattr(flash_boot, "_looked", lambda *_: About("1.28.0", hardened=False))
    assert flash_boot.look(tmp_path / "flash.bin", "esp32s3").running.label == "ota_0"
