"""Virtual eFuses, signing keys and signed images for the tests of hardening."""

import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fleet.flashing.efuse_tool import EfuseTool, public_digest, run

BOARDS = {"esp32": "esp32-ec200", "esp32s3": "esp32s3-bc660k"}
COUNTER = {"esp32": "FLASH_CRYPT_CNT", "esp32s3": "SPI_BOOT_CRYPT_CNT",
           "esp32c3": "SPI_BOOT_CRYPT_CNT"}  # fmt: skip
BLANK = "0000000000"  # the node id of virtual eFuses: their MAC cannot be burnt


def new_chip(folder: Path, chip: str) -> EfuseTool:
    """Virtual eFuses as they come from the fab; the ESP32 of revision 3."""
    tool = EfuseTool(chip, virtual=folder / f"{chip}.bin")
    if chip == "esp32":
        tool.burn(["burn-efuse", "CHIP_VER_REV1", "1", "CHIP_VER_REV2", "1"])
    else:
        tool.read()
    return tool


def start_up(tool: EfuseTool) -> None:
    """What the bootloader burns when it has encrypted the flash."""
    tool.burn(["burn-efuse", COUNTER[tool.chip], "1"])


def new_signing_key(folder: Path, name: str = "release") -> tuple[Path, Path]:
    """A private and a public key, PEM."""
    key = rsa.generate_private_key(65537, 3072)
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def signed_bootloader(folder: Path, private: Path) -> Path:
    """Something that begins as an image does, signed by espsecure with a key in a file."""
    plain, signed = folder / "boot.bin", folder / "boot-signed.bin"
    plain.write_bytes(b"\xe9" + bytes(range(256)) * 32)
    run("espsecure", ["sign-data", "--version", "2", "--keyfile", str(private), "--output",
                      str(signed), str(plain)])  # fmt: skip
    return signed


def digest(public: Path) -> str:
    """As the eFuses hold it, hexadecimal."""
    return public_digest(public, public.parent)


def kapok(*words: object) -> subprocess.Popen[str]:
    """`kapok secure ...` as a process group of its own, to be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "fleet", "secure", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
