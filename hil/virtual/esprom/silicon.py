"""What esptool and espefuse can tell one chip from another by: registers, eFuse blocks, numbers.

Sources: the chips' technical reference manuals, and what the tools ask for (esptool 5.6.0).
"""

from typing import NamedTuple


class Block(NamedTuple):
    """One eFuse block, its registers relative to the controller's base."""

    read: int
    write: int
    words: int
    write_disable: int | None  # bit of WR_DIS
    read_disable: int | None  # bit of RD_DIS


class Field(NamedTuple):
    """Bits of one word of block 0."""

    word: int
    shift: int
    bits: int


class Silicon(NamedTuple):
    """One chip."""

    name: str
    chip_id: int | None  # as GET_SECURITY_INFO tells it; None: the command is not known
    api_version: int
    magic: int  # at 0x40001000, the only mark of the oldest chips
    efuse_base: int
    efuse_size: int  # bytes of the controller's registers, as in espefuse's file
    efuse_command: int  # register, relative; its bits 0 and 1 read and program
    efuse_per_block: bool  # the command's bits 2..5 name the block
    blocks: tuple[Block, ...]
    read_disable: Field
    protected: tuple[tuple[int, Field], ...]  # bit of WR_DIS, what of block 0 it protects
    mac: tuple[int, int]  # block, word
    crypt_count: Field
    secure_boot: tuple[Field, ...]  # any of them set means on
    secure_download: Field | None
    no_download: Field
    birth: tuple[tuple[int, int, int], ...]  # block, word, value: revision and the like
    uart_divider: int
    spi_base: int
    spi_user: int
    spi_user2: int
    spi_address: int
    spi_data: int
    registers: tuple[tuple[int, int], ...]  # others that are not zero at reset
    watchdog: int | None  # RTC_CNTL_WDTCONFIG0, by which esptool resets


def _blocks(write_disable: int = 20) -> tuple[Block, ...]:
    """Of the newer chips: blocks 1 and 0 of six words, 2 to 10 of eight, one write window."""
    rows = [Block(0x2C, 0, 6, None, None), Block(0x44, 0, 6, write_disable, None)]
    for number in range(2, 11):
        key = number - 4 if number >= 4 else None
        rows.append(Block(0x5C + 0x20 * (number - 2), 0, 8, write_disable + number - 1, key))
    return tuple(rows)


_PROTECTED = (  # of the newer chips; the bits of WR_DIS that matter to security
    (0, Field(1, 0, 7)),  # RD_DIS
    (2, Field(1, 8, 16)),  # the many DIS_*
    (4, Field(2, 18, 3)),  # SPI_BOOT_CRYPT_CNT
    *((5 + key, Field(2, 21 + key, 1)) for key in range(3)),  # SECURE_BOOT_KEY_REVOKE0..2
    (8, Field(2, 24, 4)),  # KEY_PURPOSE_0, and so on
    (9, Field(2, 28, 4)),
    *((10 + key, Field(3, 4 * key, 4)) for key in range(4)),
    (15, Field(3, 20, 1)),  # SECURE_BOOT_EN
    (16, Field(3, 21, 1)),  # SECURE_BOOT_AGGRESSIVE_REVOKE
    (18, Field(4, 0, 30)),  # download mode, prints, SECURE_VERSION
)

ESP32 = Silicon(
    name="esp32",
    chip_id=None,
    api_version=0,
    magic=0x00F01D83,
    efuse_base=0x3FF5A000,
    efuse_size=0x120,
    efuse_command=0x104,
    efuse_per_block=False,
    blocks=(
        Block(0x000, 0x01C, 7, None, None),
        Block(0x038, 0x098, 8, 7, 0),
        Block(0x058, 0x0B8, 8, 8, 1),
        Block(0x078, 0x0D8, 8, 9, 2),
    ),
    read_disable=Field(0, 16, 4),
    protected=(
        (0, Field(0, 16, 4)),
        (1, Field(0, 0, 16)),
        (2, Field(0, 20, 8)),  # FLASH_CRYPT_CNT, UART_DOWNLOAD_DIS
        (3, Field(1, 0, 32)),  # the MAC address
        (3, Field(2, 0, 24)),
        (10, Field(5, 28, 4)),  # FLASH_CRYPT_CONFIG
        (12, Field(6, 4, 1)),  # ABS_DONE_0
        (13, Field(6, 5, 1)),  # ABS_DONE_1
        (14, Field(6, 6, 1)),  # JTAG_DISABLE
        (15, Field(6, 7, 3)),  # DISABLE_DL_*
    ),
    mac=(0, 1),
    crypt_count=Field(0, 20, 7),
    secure_boot=(Field(6, 4, 1), Field(6, 5, 1)),
    secure_download=None,
    no_download=Field(0, 27, 1),
    birth=(  # ESP32-D0WD-V3 v3.0, 240 MHz, CK8M 8.5 MHz by calibration with RTCCALICFG1 below
        (0, 3, 1 << 15 | 1 << 13 | 1 << 9),
        (0, 4, 128),
        (0, 5, 1 << 20),
    ),
    uart_divider=0x3FF40014,
    spi_base=0x3FF42000,
    spi_user=0x1C,
    spi_user2=0x24,
    spi_address=0x04,
    spi_data=0x80,
    registers=((0x3FF6607C, 1 << 31), (0x3FF5F06C, 800 << 7)),
    watchdog=None,
)
ESP32S3 = Silicon(
    name="esp32s3",
    chip_id=9,
    api_version=0,
    magic=0x00000009,
    efuse_base=0x60007000,
    efuse_size=0x200,
    efuse_command=0x1D4,
    efuse_per_block=True,
    blocks=_blocks(),
    read_disable=Field(1, 0, 7),
    protected=_PROTECTED,
    mac=(1, 0),
    crypt_count=Field(2, 18, 3),
    secure_boot=(Field(3, 20, 1),),
    secure_download=Field(4, 5, 1),
    no_download=Field(4, 0, 1),
    birth=((1, 3, 2 << 18),),  # v0.2
    uart_divider=0x60000014,
    spi_base=0x60002000,
    spi_user=0x18,
    spi_user2=0x20,
    spi_address=0x04,
    spi_data=0x58,
    registers=(),
    watchdog=0x60008098,
)
ESP32C3 = ESP32S3._replace(
    name="esp32c3",
    chip_id=5,
    api_version=3,
    magic=0x1B31506F,
    efuse_base=0x60008800,
    birth=((1, 3, 4 << 18),),  # v0.4
    watchdog=0x60008090,
)

SILICON = {chip.name: chip for chip in (ESP32, ESP32S3, ESP32C3)}
