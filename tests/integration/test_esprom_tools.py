"""Espressif's own esptool and espefuse, unmodified, against the loader on a PTY."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from esp_rig import Chip, chip, open_port, tool

CHIPS = {"esp32": "ESP32-D0WD-V3", "esp32s3": "ESP32-S3", "esp32c3": "ESP32-C3"}
MAC = "3c:71:bf:4a:0b:1c"


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 bytes that compress as code does."""
    chance = random.Random(1)
    path = tmp_path_factory.mktemp("code") / "code.bin"
    path.write_bytes(b"".join(chance.randbytes(60) + bytes(40) for _ in range(1000)))
    return path


@pytest.fixture(params=sorted(CHIPS))
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chip]:
    with chip(request.param, tmp_path) as running:
        yield running


def test_the_tools_know_the_chip_and_write_and_read_it(board: Chip, code: Path) -> None:
    read = board.esptool("read-mac")
    assert read.returncode == 0, read.stdout
    assert CHIPS[board.name] in read.stdout
    assert MAC in read.stdout
    assert "Detected flash size: 4MB" in board.esptool("flash-id").stdout

    wrote = board.esptool("-b", 460800, "write-flash", "0x10000", code, "0x40100", code)
    assert wrote.returncode == 0, wrote.stdout
    assert wrote.stdout.count("Hash of data verified") == 2
    data = code.read_bytes()
    assert board.flash[0x10000:][: len(data)] == board.flash[0x40100:][: len(data)] == data
    assert board.flash[0x40000:0x40100] == b"\xff" * 256, "the sector was erased"
    verified = board.esptool("verify-flash", "0x10000", code)
    assert verified.returncode == 0, verified.stdout
    assert board.esptool("verify-flash", "0x11000", code).returncode == 2, "elsewhere it is not"

    back = board.folder / "back.bin"
    assert board.esptool("read-flash", "0x10000", len(data), back).returncode == 0
    assert back.read_bytes() == data
    assert board.esptool("erase-region", "0x11000", "0x1000").returncode == 0
    assert board.flash[0x11000:0x12000] == b"\xff" * 4096
    assert board.flash[0x12000:0x13000] == data[0x2000:0x3000]
    assert board.esptool("erase-flash").returncode == 0
    assert board.flash == b"\xff" * (4 << 20)


def test_the_rom_alone_writes_too(board: Chip, code: Path) -> None:
    wrote = board.esptool("--no-stub", "write-flash", "0x10000", code)
    assert wrote.returncode == 0, wrote.stdout
    assert "Hash of data verified" in wrote.stdout
    raw = board.esptool("--no-stub", "write-flash", "--no-compress", "0x30000", code)
    assert raw.returncode == 0, raw.stdout
    data = code.read_bytes()
    assert board.flash[0x10000:][: len(data)] == board.flash[0x30000:][: len(data)] == data
    assert "Stub flasher" not in raw.stdout


def test_espefuse_reads_and_burns_and_shares_the_file(board: Chip) -> None:
    summary = board.espefuse("summary")
    assert summary.returncode == 0, summary.stdout
    assert MAC in summary.stdout
    assert "CRC 0x7d OK" in summary.stdout or "(OK)" in summary.stdout
    old = board.name == "esp32"
    count = "FLASH_CRYPT_CNT" if old else "SPI_BOOT_CRYPT_CNT"
    key = board.folder / "key.bin"
    key.write_bytes(random.Random(2).randbytes(32))
    where = ("flash_encryption", key) if old else ("BLOCK_KEY0", key, "XTS_AES_128_KEY")
    burnt = board.espefuse("burn-key", *where)
    assert burnt.returncode == 0, burnt.stdout
    assert board.espefuse("burn-efuse", count, 1).returncode == 0
    virtual = tool(
        "espefuse", board.folder, "--chip", board.name, "--virt", "--path-efuse-file",
        board.folder / "efuse.bin", "summary",
    ).stdout  # fmt: skip
    assert MAC in virtual, "espefuse's own virtual chip reads the same file"
    assert "?? ?? ?? ??" in virtual, "the key is there and cannot be read"
    assert f"{count} (BLOCK0)" in virtual
    assert key.read_bytes()[:4].hex(" ") not in virtual


def test_another_chip_is_found_out(tmp_path: Path, code: Path) -> None:
    with chip("esp32c3", tmp_path) as board:
        wrong = board.esptool("--chip", "esp32s3", "write-flash", "0x0", code)
        assert wrong.returncode == 2
        assert "This chip is ESP32-C3, not ESP32-S3" in wrong.stdout
        assert board.flash == b"\xff" * (4 << 20)


def test_what_is_burnt_is_told(tmp_path: Path, code: Path) -> None:
    with chip("esp32s3", tmp_path) as board:
        refused = board.esptool("write-flash", "--encrypt", "0x10000", code)
        assert refused.returncode == 2
        assert "Flash encryption key is not programmed" in refused.stdout
        for field in ("SPI_BOOT_CRYPT_CNT", "SECURE_BOOT_EN"):
            assert board.espefuse("burn-efuse", field, 1).returncode == 0
        told = board.esptool("get-security-info").stdout
        assert "Secure Boot: Enabled" in told
        assert "Flash Encryption: Enabled" in told
        assert "Stub flasher running" in told, "by the S3's own way past its ROM's fault"
        assert board.espefuse("burn-efuse", "ENABLE_SECURITY_DOWNLOAD", 1).returncode == 0
        secure = board.esptool("--no-stub", "get-security-info")
        assert "SECURE_DOWNLOAD_ENABLE" in secure.stdout or "ecure Download" in secure.stdout
        assert board.esptool("--no-stub", "read-flash", 0, 64, board.folder / "x").returncode == 2


def test_a_flipped_bit_is_found_and_a_block_refused_once_is_sent_again(
    tmp_path: Path, code: Path
) -> None:
    with chip("esp32s3", tmp_path, "--flip-at", "0x10123", "--nak-blocks", 1) as board:
        bad = board.esptool("write-flash", "0x10000", code)
        assert bad.returncode == 2
        assert "MD5 of file does not match" in bad.stdout
        good = board.esptool("write-flash", "0x10000", code)
        assert good.returncode == 0, good.stdout


@pytest.mark.parametrize("fault", [("--dies-at", 50), ("--unplug-after", 40_000)])
def test_a_board_that_is_unplugged_leaves_no_port(
    tmp_path: Path, code: Path, fault: tuple[str, int]
) -> None:
    with chip("esp32c3", tmp_path, *fault) as board:
        died = board.esptool("write-flash", "0x10000", code)
        assert died.returncode != 0
        assert "Hash of data verified" not in died.stdout
        programmed = len(board.flash) - board.flash.count(0xFF)
        assert 0 < programmed < 99_000


@pytest.mark.parametrize("fault", ["--silent", "--no-en-capacitor", "--no-auto-strap"])
def test_a_board_that_does_not_reach_its_loader_is_told(tmp_path: Path, fault: str) -> None:
    with chip("esp32s3", tmp_path, fault) as board:
        failed = board.esptool("read-mac")
        assert failed.returncode == 2
        assert "Failed to connect" in failed.stdout


def test_the_application_speaks_until_a_sync_and_after_the_last_close(tmp_path: Path) -> None:
    with chip("esp32s3", tmp_path) as board:
        for _ in range(2):
            with open_port(board.port) as port:
                assert b"invalid header: 0xffffffff" in port.read_until(b"ffffffff")
            assert board.esptool("read-mac").returncode == 0


def test_a_real_pace_takes_the_time_of_wire_and_flash(tmp_path: Path, code: Path) -> None:
    with chip("esp32c3", tmp_path, "--pace", "real", "--link-baud", 921_600) as board:
        start = time.monotonic()
        wrote = board.esptool("write-flash", "--no-compress", "0x10000", code)
        took = time.monotonic() - start
        assert wrote.returncode == 0, wrote.stdout
        # 100 kB take 1.09 s on the wire, their 391 pages and two blocks 0.7 s beside it.
        assert took > 1.1
