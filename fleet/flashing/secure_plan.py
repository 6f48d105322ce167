"""The steps for each chip, in the order in which a cut between any two leaves a board that boots.

Sources: ESP-IDF programming guide, security chapters "Secure Boot v2", "Flash Encryption" (key of
the host, release mode) and "Security Features Enablement Workflows", of each chip.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fleet.flashing.efuses import Fuses, SecureError
from fleet.flashing.secure_steps import (
    BootStep,
    DigestStep,
    FlashKeyStep,
    FuseStep,
    ProtectStep,
    State,
    Step,
)

SLOTS = {"esp32": 1, "esp32s3": 3, "esp32c3": 3}  # digests of signing keys that a chip takes
OLDEST_ESP32 = 3  # major revision: secure boot v2 came with it (ESP32 ECO V3)
_XTS_AES_128_KEY = (4, "XTS_AES_128_KEY")
_DIGESTS = ((9, "SECURE_BOOT_DIGEST0"), (10, "SECURE_BOOT_DIGEST1"), (11, "SECURE_BOOT_DIGEST2"))


class Standing(NamedTuple):
    """A step, and how the chip is in it."""

    step: Step
    state: State


def plan(chip: str, digests: Sequence[str]) -> list[Step]:
    """The steps for a chip, for the digests (hexadecimal) of its signing keys, 1 to 3."""
    if chip not in SLOTS:
        raise SecureError(f"chip {chip[:20]!r}: one of {', '.join(SLOTS)}")
    if not 1 <= len(digests) <= SLOTS[chip]:
        raise SecureError(f"{len(digests)} signing keys: this chip takes 1 to {SLOTS[chip]}")
    if len(set(digests)) != len(digests):
        raise SecureError("a signing key was given twice")
    return _esp32(digests[0]) if chip == "esp32" else _later(chip, digests)


def standings(steps: Sequence[Step], fuses: Fuses) -> list[Standing]:
    """How the chip is in each step."""
    return [Standing(step, step.state(fuses)) for step in steps]


def check_revision(chip: str, fuses: Fuses) -> None:
    """SecureError for an ESP32 that is too old for secure boot v2."""
    if chip == "esp32" and fuses.of("WAFER_VERSION_MAJOR").raw < OLDEST_ESP32:
        found = fuses.of("WAFER_VERSION_MAJOR").raw
        raise SecureError(f"this ESP32 is of revision {found}: secure boot v2 needs v3.0 or newer")


def _esp32(digest: str) -> list[Step]:
    return [
        DigestStep(
            "digest", f"BLOCK2 takes the signing key's digest {digest[:16]}…, write-protected",
            "another signing key can never be used: this chip has one slot", "BLOCK2", digest,
        ),
        FlashKeyStep(
            "flash-key", "BLOCK1 takes a random key of flash encryption, hidden, write-protected",
            "nobody can read or change the key", "BLOCK1",
        ),
        ProtectStep(
            "protect-reading", "RD_DIS is write-protected, so that nobody can hide the digest",
            "no further block can be read-protected", "RD_DIS",
        ),
        FuseStep(
            "crypt-config", "FLASH_CRYPT_CONFIG 15: all bits of the address change the key",
            "the kind of flash encryption is fixed", (("FLASH_CRYPT_CONFIG", 15),),
        ),
        FuseStep(
            "download-crypt", "the loader neither encrypts nor decrypts; no cache in it; no BASIC",
            "the loader can no longer read or write flash through the key",
            (("DISABLE_DL_ENCRYPT", 1), ("DISABLE_DL_DECRYPT", 1), ("DISABLE_DL_CACHE", 1),
             ("CONSOLE_DEBUG_DISABLE", 1)),
        ),
        FuseStep("jtag", "JTAG_DISABLE", "no debugger, ever", (("JTAG_DISABLE", 1),)),
        FuseStep(
            "secure-boot", "ABS_DONE_1: secure boot v2", "only signed bootloaders start",
            (("ABS_DONE_1", 1),),
        ),
        BootStep(
            "first-boot", "start the board once: its bootloader encrypts the flash (minutes)",
            "the flash is no longer plain", "FLASH_CRYPT_CNT",
        ),
        FuseStep(
            "crypt-for-ever", "FLASH_CRYPT_CNT 127: encryption can no longer be turned off",
            "plain images can never be flashed again", (("FLASH_CRYPT_CNT", 127),),
        ),
        FuseStep(
            "download", "UART_DOWNLOAD_DIS: no loader at all",
            "esptool can never reach this chip again, not to repair it either: updates only "
            "over the air", (("UART_DOWNLOAD_DIS", 1),),
        ),
    ]  # fmt: skip


def _later(chip: str, digests: Sequence[str]) -> list[Step]:
    steps: list[Step] = [
        DigestStep(
            f"digest{i}", f"BLOCK_KEY{i} takes the digest {digest[:16]}… of signing key {i}",
            f"slot {i} can only be revoked", f"BLOCK_KEY{i}", digest, f"KEY_PURPOSE_{i}",
            _DIGESTS[i],
        )
        for i, digest in enumerate(digests)
    ]  # fmt: skip
    # KEY3: the last block, KEY5, cannot hold a key of flash encryption (erratum of these chips).
    steps.append(
        FlashKeyStep(
            "flash-key", "BLOCK_KEY3 takes a random key of flash encryption, read- and "
            "write-protected", "nobody can read or change the key", "BLOCK_KEY3", "KEY_PURPOSE_3",
            _XTS_AES_128_KEY,
        )
    )  # fmt: skip
    unused = range(len(digests), SLOTS[chip])
    if unused:
        steps.append(
            FuseStep(
                "revoke-unused", f"revoke the slots {', '.join(map(str, unused))} without a key",
                "no signing key can be added",
                tuple((f"SECURE_BOOT_KEY_REVOKE{i}", 1) for i in unused),
            )
        )  # fmt: skip
    caches: tuple[tuple[str, int], ...] = (("DIS_DOWNLOAD_ICACHE", 1),)
    if chip == "esp32s3":
        caches += (("DIS_DOWNLOAD_DCACHE", 1),)
    return [
        *steps,
        ProtectStep(
            "protect-reading", "RD_DIS is write-protected, so that nobody can hide a digest",
            "no further block can be read-protected", "RD_DIS",
        ),
        FuseStep(
            "download-crypt", "the loader does not encrypt; no cache in it; no direct boot",
            "the loader can no longer write flash through the key",
            (("DIS_DOWNLOAD_MANUAL_ENCRYPT", 1), *caches, ("DIS_DIRECT_BOOT", 1)),
        ),
        FuseStep(
            "jtag", "JTAG off, on pads and over USB", "no debugger, ever",
            (("SOFT_DIS_JTAG", 7), ("DIS_PAD_JTAG", 1), ("DIS_USB_JTAG", 1)),
        ),
        FuseStep(
            "secure-boot", "SECURE_BOOT_EN: secure boot v2", "only signed bootloaders start",
            (("SECURE_BOOT_EN", 1),),
        ),
        BootStep(
            "first-boot", "start the board once: its bootloader encrypts the flash (minutes)",
            "the flash is no longer plain", "SPI_BOOT_CRYPT_CNT",
        ),
        FuseStep(
            "crypt-for-ever", "SPI_BOOT_CRYPT_CNT 7: encryption can no longer be turned off",
            "plain images can never be flashed again", (("SPI_BOOT_CRYPT_CNT", 7),),
        ),
        FuseStep(
            "download", "ENABLE_SECURITY_DOWNLOAD: the loader only writes flash",
            "eFuses and flash can no longer be read over the port, nor can this be verified again",
            (("ENABLE_SECURITY_DOWNLOAD", 1),),
        ),
    ]  # fmt: skip
