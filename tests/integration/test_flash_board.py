"""One board, the real esptool, an emulated ROM loader: what is written, refused, kept."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flash_rig import (
    MAC,
    MIB,
    NODE,
    NVS,
    VFS,
    bare_board,
    burn,
    code,
    flash,
    holds,
    order,
    regions,
)  # fmt: skip

from fleet.flashing import board_session, flash_board, journal_export, marks
from fleet.flashing.board_session import BoardSession
from fleet.flashing.errors import BoardChanged, Locked, TooLarge
from fleet.flashing.esptool_run import Stop
from fleet.flashing.flash_board import Progress
from fleet.flashing.partitions import TABLE_OFFSET
from fleet.flashing.port_lock import locked


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_only_what_differs_is_written_and_the_identity_stays(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board") as board:
        first = flash(board, order(tmp_path / "a", regions()))
        assert (first.result, first.node_id, first.mac) == (flash_board.FLASHED, NODE, MAC)
        assert first.written == ("bootloader", "partition-table", "ota_0", "vfs")
        assert holds(board, regions())
        assert board.flash(NVS.offset, NVS.size) == b"\xff" * NVS.size

        board_session.write_region(board.port, NVS.offset, b"who I am")
        again = flash(board, order(tmp_path / "b", regions()))
        assert (again.result, again.written) == (flash_board.UNCHANGED, ())

        changed = regions({"/a.romfs": code(30_000, 4)})
        third = flash(board, order(tmp_path / "c", changed))
        assert third.written == ("vfs",)
        assert third.written_bytes < VFS.size
        assert holds(board, changed)
        assert board.flash(NVS.offset, 8) == b"who I am"

        everything = flash(board, order(tmp_path / "d", changed, everything=True))
        assert everything.written == first.written


@pytest.mark.parametrize("chip", ["esp32", "esp32c3"])
def test_the_other_chips(tmp_path: Path, chip: str) -> None:
    content = regions(chip=chip)
    with bare_board(tmp_path / "board", chip=chip) as board:
        assert flash(board, order(tmp_path / "a", content, chip=chip)).ok
        assert holds(board, content)
        with BoardSession(board.port) as session:
            assert session.identify().chip == chip
            assert session.read_partition("nvs") == b"\xff" * NVS.size
            session.write_partition("nvs", b"\x01" * NVS.size)
            assert session.read_partition("nvs") == b"\x01" * NVS.size
            with pytest.raises(TooLarge, match="do not fit partition 'nvs'"):
                session.write_partition("nvs", bytes(NVS.size + 1))


def test_a_larger_image_would_go_over_the_next_partition_without_the_guard(tmp_path: Path) -> None:
    """Sabotage: esptool itself writes it, with exit code 0."""
    with bare_board(tmp_path / "board") as board:
        assert flash(board, order(tmp_path / "a", regions())).ok
        image = tmp_path / "nvs.bin"
        image.write_bytes(bytes(0x8000))
        done = _esptool(board.port.device, "write-flash", hex(NVS.offset), str(image))
        assert done.returncode == 0
        assert not holds(board, regions())


def test_another_chip_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board", chip="esp32c3") as board:
        result = flash(board, order(tmp_path / "a", regions()))
        assert result.result == flash_board.FAILED
        assert "the chip is esp32c3, the board file says esp32s3" in result.error
        assert board.flash(0, 4 * MIB) == b"\xff" * 4 * MIB


def test_a_smaller_flash_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board", "--flash-mib", "2") as board:
        result = flash(board, order(tmp_path / "a", regions()))
        assert "the flash has 2 MiB, the board file says 4 MiB" in result.error
        assert board.flash(0, 2 * MIB) == b"\xff" * 2 * MIB


def _esptool(device: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "esptool", "--port", device, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("chip", "fuses"),
    [("esp32", ("FLASH_CRYPT_CNT", "1")), ("esp32c3", ("SPI_BOOT_CRYPT_CNT", "1"))],
)
def test_plaintext_for_an_encrypted_chip_is_refused(
    tmp_path: Path, chip: str, fuses: tuple[str, ...]
) -> None:
    """And the sabotage: esptool writes it and exits with 0."""
    with bare_board(tmp_path / "board", chip=chip):
        pass
    burn(tmp_path / "board", chip, *fuses)
    with bare_board(tmp_path / "board", chip=chip) as board:
        result = flash(board, order(tmp_path / "a", regions(chip=chip), chip=chip))
        assert result.result == flash_board.FAILED
        assert "flash encryption is on" in result.error
        with pytest.raises(Locked, match="flash encryption is on"):
            board_session.write_region(board.port, NVS.offset, b"plain")
        assert board.flash(0, 4 * MIB) == b"\xff" * 4 * MIB

        image = tmp_path / "app.bin"
        image.write_bytes(code(0x1000))
        assert _esptool(board.port.device, "write-flash", "0x10000", str(image)).returncode == 0
        assert board.flash(0x10000, 0x1000) != b"\xff" * 0x1000


@pytest.mark.parametrize(
    ("chip", "fuses"), [("esp32", ("ABS_DONE_1", "1")), ("esp32c3", ("SECURE_BOOT_EN", "1"))]
)
def test_an_unsigned_bootloader_for_secure_boot_is_refused(
    tmp_path: Path, chip: str, fuses: tuple[str, ...]
) -> None:
    with bare_board(tmp_path / "board", chip=chip):
        pass
    burn(tmp_path / "board", chip, *fuses)
    with bare_board(tmp_path / "board", chip=chip) as board:
        result = flash(board, order(tmp_path / "a", regions(chip=chip), chip=chip))
        assert "secure boot is on" in result.error
        assert board.flash(0, 4 * MIB) == b"\xff" * 4 * MIB
        board_session.write_region(board.port, NVS.offset, b"data is not signed")


def test_a_flipped_bit_is_found_and_mended_at_a_slower_rate(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board", "--flip-at", "0x20000") as board:
        result = flash(board, order(tmp_path / "a", regions()))
        assert result.ok
        assert result.slowed
        assert result.written == ("bootloader", "partition-table", "ota_0", "vfs")
        assert holds(board, regions())


def test_a_board_that_dies_is_marked_and_the_same_command_mends_it(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board", "--unplug-after", "150000") as board:
        result = flash(board, order(tmp_path / "a", regions()))
        assert result.result == flash_board.FAILED
        assert "ota_0" in result.error
        mark = marks.get(bytes.fromhex(MAC))
        assert mark is not None
        assert (mark.state, mark.region) == (marks.FAILED, "ota_0")
    with bare_board(tmp_path / "board") as board:
        assert not holds(board, regions())
        mended = flash(board, order(tmp_path / "b", regions(), resume=True))
        assert mended.result == flash_board.FLASHED
        assert "bootloader" not in mended.written
        assert holds(board, regions())


def test_an_interrupted_board_is_marked_and_resumed(tmp_path: Path) -> None:
    stop = Stop()
    heard: list[Progress] = []

    class UntilHalf(list[Progress]):
        def append(self, progress: Progress) -> None:
            heard.append(progress)
            if progress.phase == "ota_0" and progress.fraction > 0.3:
                stop.all()

    with bare_board(tmp_path / "board") as board:
        result = flash(board, order(tmp_path / "a", regions()), stop, UntilHalf())
        assert result.result == flash_board.INTERRUPTED
        assert result.error.endswith("interrupted at region ota_0")
        mark = marks.get(bytes.fromhex(MAC))
        assert mark is not None
        assert (mark.state, mark.region) == (marks.INTERRUPTED, "ota_0")
        assert not holds(board, regions())

        resumed = flash(board, order(tmp_path / "b", regions(), resume=True))
        assert resumed.result == flash_board.FLASHED
        assert holds(board, regions())
        skipped = flash(board, order(tmp_path / "c", regions(), resume=True))
        assert skipped.result == flash_board.SKIPPED
        other = flash(board, order(tmp_path / "d", regions({"/x": b"new"}), resume=True))
        assert other.written == ("vfs",)

    (tmp_path / "board" / "flash.bin").unlink()  # erased by another tool since
    with bare_board(tmp_path / "board") as board:
        anew = flash(board, order(tmp_path / "e", regions({"/x": b"new"}), resume=True))
        assert anew.result == flash_board.FLASHED
        assert holds(board, regions({"/x": b"new"}))


def test_a_journal_is_saved_before_it_is_overwritten(tmp_path: Path) -> None:
    journal = {"/journal/0a1b2c3d.0": code(3000, 7), "/journal/ledger": b"\x00\x01"}
    drained = []
    with bare_board(tmp_path / "board") as board:
        assert flash(board, order(tmp_path / "a", regions({"/main.py": b"1", **journal}))).ok
        wanted = order(
            tmp_path / "b",
            regions(),
            before_overwrite=lambda port, who: drained.append((port.name, who.node_id)),
        )
        result = flash(board, wanted)
        assert result.ok
        saved = journal_export.load(Path(result.journal))
        assert saved.node_id == NODE
        assert {f"/journal/{name}": data for name, data in saved.files.items()} == journal
        assert drained == [(board.port.name, NODE)]
        assert holds(board, regions())
        assert flash(board, order(tmp_path / "c", regions())).journal == ""


def test_a_journal_is_saved_from_a_board_that_has_lost_its_partition_table(tmp_path: Path) -> None:
    journal = {"/journal/0a1b2c3d.0": code(3000, 7)}
    with bare_board(tmp_path / "board") as board:
        assert flash(board, order(tmp_path / "a", regions({"/main.py": b"1", **journal}))).ok
        board_session.write_region(board.port, TABLE_OFFSET, b"\xff" * 0x1000)
        result = flash(board, order(tmp_path / "b", regions()))
        assert result.ok
        saved = journal_export.load(Path(result.journal))
        assert {f"/journal/{name}": data for name, data in saved.files.items()} == journal


def test_another_board_in_the_same_socket_is_not_touched(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board") as board, BoardSession(board.port) as session:
        session.identify()
        session._mac = bytes.fromhex("3c71bf000000")  # as if another one had been identified there
        with pytest.raises(BoardChanged, match="another board is there now"):
            session.write_region(NVS.offset, b"who I am not")
        assert board.flash(NVS.offset, 4) == b"\xff" * 4


def test_a_file_system_that_cannot_be_read_is_not_overwritten_unasked(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board") as board:
        assert flash(board, order(tmp_path / "a", regions({"/journal/x": code(900, 5)}))).ok
        head = bytearray(board.flash(VFS.offset, 0x2000))
        for at in (0x30, 0x1030):  # both blocks of the root's pair
            head[at] ^= 0xFF
        board_session.write_region(board.port, VFS.offset, bytes(head))
        refused = flash(board, order(tmp_path / "b", regions()))
        assert refused.result == flash_board.FAILED
        assert "--discard-journal" in refused.error
        assert flash(board, order(tmp_path / "c", regions(), journal_folder=None)).ok


def test_a_busy_port_is_refused(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board") as board:
        with locked(board.port):
            result = flash(board, order(tmp_path / "a", regions()))
            assert f"another kapok works on this port (process {os.getpid()})" in result.error
        descriptor = os.open(board.port.device, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            result = flash(board, order(tmp_path / "b", regions()))
            assert "another program has the port" in result.error
        finally:
            os.close(descriptor)


def test_a_board_that_does_not_enter_its_loader(tmp_path: Path) -> None:
    with bare_board(tmp_path / "board", "--silent") as board:
        result = flash(board, order(tmp_path / "a", regions()))
        assert "no answer from the loader" in result.error
        assert marks.get(bytes.fromhex(MAC)) is None


def test_nothing_that_is_written_lies_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key for NVS goes to esptool through memory: no file is opened for writing on the way."""
    opened: list[str] = []
    sys.addaudithook(
        lambda event, args: (
            opened.append(str(args[0]))
            if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
            else None
        )
    )
    with bare_board(tmp_path / "board") as board, BoardSession(board.port) as session:
        opened.clear()
        session.write_region(NVS.offset, b"a private key")
        assert session.read_region(NVS.offset, 13) == b"a private key"
        assert [path for path in opened if not path.isdecimal()] == []
