"""Who a board is, and what its eFuses forbid: read before anything is written."""

import struct
from typing import NamedTuple

from fleet.flashing.errors import Locked, SmallFlash, WrongChip
from fleet.wire import nodeid

# ESP32, "eFuse Controller" of its technical reference manual: BLOCK0 words 0 to 6.
ESP32_EFUSES = 0x3FF5A000
ESP32_EFUSE_BYTES = 28
# GET_SECURITY_INFO's flags, ESP32-S3 and -C3: "Serial Protocol" of esptool's documentation.
_SECURE_BOOT, _SECURE_DOWNLOAD = 1 << 0, 1 << 2
# What secure boot verifies, so that an unsigned one never starts again.
_SIGNED = ("bootloader", "partition-table", "ota_", "rescue")


class Security(NamedTuple):
    """The eFuses that decide what may be written."""

    encrypted: bool = False
    secure_boot: bool = False
    secure_download: bool = False

    def __str__(self) -> str:
        names = {
            "flash encryption": self.encrypted,
            "secure boot": self.secure_boot,
            "secure download": self.secure_download,
        }
        return ", ".join(name for name, on in names.items() if on) or "open"


class Identity(NamedTuple):
    """A board as its loader tells it; `chip` as in chips.py, `flash_bytes` of its flash chip."""

    chip: str
    mac: bytes
    flash_bytes: int
    security: Security

    @property
    def node_id(self) -> str:
        """The node id of its MAC."""
        return nodeid.from_mac(self.mac)


def from_flags(flags: int, crypt_count: int) -> Security:
    """Of get-security-info: ESP32-S2 and later."""
    return Security(
        encrypted=crypt_count.bit_count() % 2 == 1,
        secure_boot=bool(flags & _SECURE_BOOT),
        secure_download=bool(flags & _SECURE_DOWNLOAD),
    )


def from_esp32_efuses(raw: bytes) -> Security:
    """Of BLOCK0 as read from memory: the ESP32's ROM has no get-security-info."""
    words = struct.unpack("<7I", raw)
    return Security(
        encrypted=(words[0] >> 20 & 0x7F).bit_count() % 2 == 1,  # FLASH_CRYPT_CNT
        secure_boot=bool(words[6] >> 4 & 3),  # ABS_DONE_0 (version 1), ABS_DONE_1 (version 2)
    )


def check_board(name: str, identity: Identity, chip: str, flash_bytes: int) -> None:
    """WrongChip or SmallFlash where the board is not what its file says; `name` is the port's."""
    if identity.chip != chip:
        raise WrongChip(
            f"{name}: the chip is {identity.chip}, the board file says {chip}:"
            " another board, or another --node"
        )
    if identity.flash_bytes < flash_bytes:
        raise SmallFlash(
            f"{name}: the flash has {identity.flash_bytes >> 20} MiB, the board file says"
            f" {flash_bytes >> 20} MiB: nothing was written"
        )


def check_writable(name: str, identity: Identity, regions: list[str]) -> None:
    """Locked where plaintext of these regions would leave the board dead.

    esptool writes plaintext to a chip with flash encryption and exits with 0; the chip then
    decrypts it to noise.
    """
    if identity.security.encrypted:
        raise Locked(
            f"{name}: flash encryption is on, and what is written in plaintext would be noise:"
            " nothing was written"
        )
    if identity.security.secure_download:
        raise Locked(
            f"{name}: the chip is in secure download mode, and what is written cannot be read"
            " back: nothing was written"
        )
    signed = [region for region in regions if region.startswith(_SIGNED)]
    if identity.security.secure_boot and signed:
        raise Locked(
            f"{name}: secure boot is on, and {signed[0]} without a signature would never start:"
            " nothing was written"
        )
