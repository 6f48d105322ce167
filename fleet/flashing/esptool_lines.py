"""What esptool prints (5.6.0), line by line: facts of the chip, progress, and how it failed."""

import re
from collections.abc import Callable

from fleet.flashing.errors import (
    FlashError,
    LinkLost,
    Locked,
    NoLoader,
    NotVerified,
    PortBusy,
    PortDenied,
    SmallFlash,
    WrongChip,
)

KEPT = 40  # lines of the output's end that a report keeps

_CONNECTED = re.compile(r"Connected to (\S+)( in Secure Download Mode)? on ")
_MAC = re.compile(r"(?:BASE )?MAC:\s+((?:[0-9a-f]{2}:){5}[0-9a-f]{2})$")
_FLASH = re.compile(r"(?:Detected|Auto-detected) flash size: (\d+)(KB|MB)$")
_FLAGS = re.compile(r"Flags: (0x[0-9a-f]{8})\b")
_CRYPT = re.compile(r"(?:SPI Boot|Flash) Crypt Count \(\w+\): (0x[0-9a-f]+)$")
_FILE = re.compile(r"Writing '(.+)' at 0x[0-9a-f]{8}\.\.\.$")
_PERCENT = re.compile(r"(?:Writing|Reading|Dumping) (?:at|from) 0x[0-9a-f]{8}.*?(\d+\.\d)%")
_WROTE = re.compile(r"Wrote (\d+) bytes(?: \(\d+ compressed\))? at (0x[0-9a-f]{8})")
_SKIPPED = re.compile(r"'(.+)' at 0x[0-9a-f]{8} already in flash, skipping write\.$")
_FATAL = re.compile(r"(?:ERROR: )?A (?:fatal|serial exception) error occurred: (.*)$")
_BOOT_MODE = re.compile(r"Wrong boot mode detected \((0x[0-9a-f]+)\)")
_IS_CHIP = re.compile(r"This chip is (\S+), not ")


class Report:
    """Collects one invocation's output; `on_progress(file, percent)` is told of the writing."""

    def __init__(self, on_progress: Callable[[str, float], None] | None = None) -> None:
        self._on_progress = on_progress
        self.chip = ""  # as in chips.py: esp32, esp32s3
        self.mac = b""
        self.flash_bytes = 0
        self.flags: int | None = None
        self.crypt_count: int | None = None
        self.secure_download = False
        self.connected = False
        self.stub_was_running = False
        self.file = ""
        self.wrote: list[tuple[int, int]] = []  # (offset, bytes)
        self.skipped: list[str] = []
        self.verified = 0  # writes whose digest was read back
        self.fatal = ""
        self.tail: list[str] = []

    def feed(self, line: str) -> None:
        """Take one line, without its end."""
        line = line.rstrip()
        self.tail = [*self.tail[-KEPT + 1 :], line]
        if match := _PERCENT.search(line):
            if self._on_progress:
                self._on_progress(self.file, float(match[1]))
        elif match := _FILE.match(line):
            self.file = match[1]
            if self._on_progress:
                self._on_progress(self.file, 0.0)
        elif match := _CONNECTED.match(line):
            self.connected = True
            self.chip = match[1].lower().replace("-", "")
        elif match := _MAC.match(line):
            # The base MAC comes after the EUI-64 where a chip has both.
            self.mac = bytes.fromhex(match[1].replace(":", ""))
        elif match := _FLASH.match(line):
            self.flash_bytes = int(match[1]) * (1024 if match[2] == "KB" else 1024 * 1024)
        elif match := _FLAGS.match(line):
            self.flags = int(match[1], 16)
        elif match := _CRYPT.match(line):
            self.crypt_count = int(match[1], 16)
        elif match := _WROTE.match(line):
            self.wrote.append((int(match[2], 16), int(match[1])))
        elif match := _SKIPPED.match(line):
            self.skipped.append(match[1])
            if self._on_progress:
                self._on_progress(match[1], 100.0)
        elif line == "Hash of data verified.":
            self.verified += 1
        elif line.startswith("Stub flasher is already running"):
            self.stub_was_running = True
        elif line.endswith("in Secure Download Mode"):
            self.secure_download = True
        elif match := _FATAL.search(line):
            self.fatal = match[1]
        elif self.fatal.endswith("doesn't exist.") and line.startswith("(["):
            self.fatal += f" {line}"


def failure(name: str, report: Report) -> FlashError:
    """The error that one failed invocation means; `name` is the port's."""
    text = report.fatal or next((line for line in reversed(report.tail) if line), "no output")
    if "Errno 2]" in text or "Errno 6]" in text or "Errno 19]" in text:
        return LinkLost(f"{name}: the port went away: check plug and cable, then run again")
    if "Errno 13]" in text:
        return PortDenied(f"{name}: this user may not open the port: kapok doctor says why")
    if "Could not exclusively lock" in text or "Errno 16]" in text:
        return PortBusy(f"{name}: another program has the port: kapok doctor says which")
    if match := _BOOT_MODE.search(text):
        return NoLoader(
            f"{name}: the chip booted from flash (boot mode {match[1]}) instead of its loader:"
            " hold BOOT while it resets, and see kapok doctor"
        )
    if "no sync reply" in text:
        return NoLoader(
            f"{name}: the chip is in its loader and does not hear us: check the line to its RX"
        )
    if match := _IS_CHIP.search(text):
        return WrongChip(f"{name}: the chip is {match[1]}, another one than the board file names")
    if "is not an ESP" in text or "not compatible" in text:
        return WrongChip(f"{name}: the image is for another chip: {text}")
    if "Secure Download Mode" in text or "Secure Boot V1" in text or "encrypt" in text.lower():
        return Locked(f"{name}: the chip is locked: {text}")
    if "will not fit in" in text or "larger than detected flash size" in text:
        return SmallFlash(f"{name}: the flash is too small: {text}")
    if "MD5 of file does not match" in text or "flash region is empty" in text:
        return NotVerified(f"{name}: what was read back is not what was written: {text}")
    if report.connected:
        return LinkLost(f"{name}: the board fell silent: {text}: check plug and cable, run again")
    if "Failed to connect" in text:
        return NoLoader(
            f"{name}: no answer from the loader: check power, cable and the BOOT strap;"
            " kapok doctor tells them apart"
        )
    return FlashError(f"{name}: esptool failed: {text}")
