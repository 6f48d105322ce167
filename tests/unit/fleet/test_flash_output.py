"""esptool's lines and a board's console: facts, progress, and what a failure means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.flashing import errors, identity
from fleet.flashing.esptool_lines import Report, failure
from fleet.flashing.first_boot import FirstBootError, Watcher, watch

# As printed by esptool 5.6.0 without a terminal.
FLASH_ID = """\
esptool v5.6.0
Serial port /dev/pts/3:
Connecting....
Detecting chip type... ESP32-S3
Connected to ESP32-S3 on /dev/pts/3:
Chip type:          ESP32-S3 (QFN56) (revision v0.2)
Features:           Wi-Fi, BT 5 (LE), Dual Core + LP Core, 240MHz
Crystal frequency:  40MHz
MAC:                3c:71:bf:4a:0b:1c

Stub flasher is already running. No upload is necessary.

Flash Memory Information:
=========================
Manufacturer: ef
Device: 4016
Detected flash size: 4MB
"""
WRITE = """\
Connected to ESP32-S3 on /dev/pts/3:

Writing '/tmp/x/a b.bin' at 0x00010000...
Flash will be erased from 0x00010000 to 0x0001ffff...
Writing at 0x00010000 [                              ]   0.0% 0B/40.1kB
Writing at 0x00018000 [==============>               ]  50.0% 16.0kB/40.1kB
Wrote 65536 bytes (41062 compressed) at 0x00010000 in 1.1 seconds (476.6 kbit/s).
Verifying written data...
Hash of data verified.

Writing '/tmp/x/c.bin' at 0x00020000...
Comparing flash contents against new data...
'/tmp/x/c.bin' at 0x00020000 already in flash, skipping write.
"""


NOT_OPEN = "Could not open /dev/x, the port is busy or doesn't exist.\n"
NOT_THERE = "Failed to connect to Espressif device"


def _report(text: str) -> Report:
    report = Report()
    for line in text.splitlines(keepends=True):
        report.feed(line)
    return report


def test_facts() -> None:
    report = _report(FLASH_ID)
    assert (report.chip, report.mac.hex(), report.flash_bytes) == (
        "esp32s3", "3c71bf4a0b1c", 4 << 20,
    )  # fmt: skip
    assert report.connected
    assert report.stub_was_running


def test_progress_of_each_file() -> None:
    heard: list[tuple[str, float]] = []
    report = Report(lambda file, percent: heard.append((file, percent)))
    for line in WRITE.splitlines():
        report.feed(line)
    first, second = "/tmp/x/a b.bin", "/tmp/x/c.bin"
    assert heard == [(first, 0), (first, 0), (first, 50), (second, 0), (second, 100)]
    assert (report.wrote, report.skipped, report.verified) == ([(0x10000, 65536)], [second], 1)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (f"{NOT_OPEN}([Errno 2] could not open)", errors.LinkLost, "the port went away"),
        (f"{NOT_OPEN}([Errno 13] Permission)", errors.PortDenied, "may not open"),
        (f"{NOT_OPEN}([Errno 11] Could not exclusively lock port /dev/x)", errors.PortBusy,
         "another program"),
        (f"{NOT_THERE}: Wrong boot mode detected (0x13)! The chip needs to be in download mode.",
         errors.NoLoader, "boot mode 0x13"),
        (f"{NOT_THERE}: Download mode successfully detected, but getting no sync reply: The",
         errors.NoLoader, "its RX"),
        (f"{NOT_THERE}: No serial data received.", errors.NoLoader, "no answer from the loader"),
        ("This chip is ESP32-C3, not ESP32. Wrong chip argument?", errors.WrongChip, "ESP32-C3"),
        ("The 'flash-id' command is not available in Secure Download Mode.", errors.Locked,
         "locked"),
        ("File 'x' (length 4194304) at offset 0x00000000 will not fit in 2097152 bytes of flash.",
         errors.SmallFlash, "too small"),
        ("MD5 of file does not match data in flash!", errors.NotVerified, "read back"),
    ],
)  # fmt: skip
def test_what_a_failure_means(text: str, kind: type[Exception], words: str) -> None:
    error = failure("usb:1-3", _report(f"ERROR: A fatal error occurred: {text}\n"))
    assert type(error) is kind
    assert str(error).startswith("usb:1-3: ")
    assert words in str(error)
    assert "\n" not in str(error)


def test_silence_after_the_connection_is_the_line() -> None:
    text = FLASH_ID + "ERROR: A serial exception error occurred: write failed: [Errno 5] I/O error"
    assert isinstance(failure("p", _report(text)), errors.LinkLost)
    assert "no output" in str(failure("p", Report()))


@given(st.lists(st.text(max_size=200), max_size=20))
def test_any_output_gives_a_line(lines: list[str]) -> None:
    report = Report()
    for line in lines:
        report.feed(line)
    assert "p: " in str(failure("p", report))


def test_efuses() -> None:
    words = bytearray(28)
    assert str(identity.from_esp32_efuses(bytes(words))) == "open"
    words[2] = 0x10  # FLASH_CRYPT_CNT = 1
    assert identity.from_esp32_efuses(bytes(words)).encrypted
    words[2] = 0x30  # 3: two bits, switched off again
    assert not identity.from_esp32_efuses(bytes(words)).encrypted
    words[24] = 0x20  # ABS_DONE_1
    assert identity.from_esp32_efuses(bytes(words)).secure_boot
    assert str(identity.from_flags(0b101, 7)) == "flash encryption, secure boot, secure download"


BOOT = b"ESP-ROM:esp32s3-20210327\r\nrst:0x1 (POWERON),boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n"


class _Console:
    """Gives its parts, one a read, and then nothing; each read is a tenth of a second."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)
        self.now = 0.0

    def read(self, size: int) -> bytes:
        self.now += 0.1
        return self._parts.pop(0) if self._parts else b""

    def clock(self) -> float:
        return self.now


def test_the_self_test_is_found_however_it_is_cut() -> None:
    raw = BOOT + b'kapok-selftest {"vfs": true, "provisioned": false}\r\n>>> '
    for cut in range(len(raw)):
        console = _Console(raw[:cut], raw[cut:])
        boot = watch("p", console, clock=console.clock)
        assert boot.selftest == {"vfs": True, "provisioned": False}
    assert "rst:0x1" in boot.log[1]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "nothing comes from its console"),
        (BOOT, "its last line was: rst:0x1"),
        (BOOT + b"Brownout detector was triggered\r\n", "brown-out"),
        (b"rst:0x7 (TG0WDT_SYS_RST),boot:0x8\r\n" * 4, "TG0WDT_SYS_RST.*a crash loop"),
        (b"rst:0x10 (RTCWDT_RTC_RST),boot:0x13\r\ninvalid header: 0xffffffff\r\n", "--all"),
        (BOOT + b"Guru Meditation Error: Core  0 panic'ed (LoadProhibited)\r\n", "LoadProhibited"),
        (BOOT + b'Traceback (most recent call last):\r\n  File "main.py"\r\nOSError: 19\r\n',
         "the application fails: OSError: 19"),
        (b"kapok-selftest {nonsense\r\n", "no self-test"),
        (BOOT + b'kapok: the slot does not start, so\r\nkapok-selftest {"vfs": true}\r\n',
         "only the rescue application"),
    ],
)  # fmt: skip
def test_why_there_is_no_self_test(said: bytes, words: str) -> None:
    console = _Console(said)
    with pytest.raises(FirstBootError, match=f"flashed, but it does not start: .*{words}"):
        watch("p", console, patience=3, clock=console.clock)


def test_a_self_test_that_finds_a_fault_is_no_success() -> None:
    console = _Console(BOOT + b'kapok-selftest {"vfs": true, "nvs": false}\r\n')
    with pytest.raises(FirstBootError, match="its self-test finds a bad nvs"):
        watch("p", console, clock=console.clock)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_console_is_taken(parts: list[bytes]) -> None:
    watcher = Watcher()
    for part in parts:
        watcher.feed(part)
    assert "\n" not in watcher.why()
