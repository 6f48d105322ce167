"""A new runtime: its blocks go straight into the partition that does not run, through power cuts,
and it has one life to be confirmed in.
"""

import importlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import esp32
import pytest
import update_rig as rig
from node.wire import release
from numbers_rig import PowerCut
from update_rig import NEW, OLD, Board, Offer

ROOT = Path(__file__).parents[3]
SECTOR = 4096
SIZE = 16 * SECTOR
VERSION = rig.RUNTIME + 1


class Chip:
    """Two partitions of NOR flash that is encrypted: a sector is erased before it is written, and
    written in whole units of 16 bytes. Power may fail at any of it."""

    def __init__(self) -> None:
        self.flash = {
            "ota_0": bytearray(b"\xe9".ljust(SIZE, b"\xff")),
            "ota_1": bytearray(b"\xff" * SIZE),
        }
        self.running = self.boots = "ota_0"
        self.pending = False  # the bootloader goes back unless it is told that all is well
        self.operations = 0
        self.fails: set[int] = set()

    def operation(self) -> None:
        self.operations += 1
        if self.operations in self.fails:
            raise PowerCut

    def reset(self) -> None:
        """The bootloader."""
        if self.pending and self.running == self.boots:
            self.boots = "ota_0" if self.boots == "ota_1" else "ota_1"
            self.pending = False
        if self.running != self.boots:
            self.pending = True
        self.running = self.boots


def partition(chip: Chip) -> Any:
    class Partition:
        RUNNING = 1
        TYPE_DATA = 1

        def __init__(self, which: Any) -> None:
            self.label = chip.running if which == 1 else which

        def info(self) -> tuple[Any, ...]:
            return (0, 16, 0, SIZE, self.label, True)

        def get_next_update(self) -> "Partition":
            return Partition("ota_1" if chip.running == "ota_0" else "ota_0")

        def ioctl(self, op: int, sector: int) -> int:
            assert op == 6
            assert self.label != chip.running
            chip.flash[self.label][sector * SECTOR :][:SECTOR] = b"\xff" * SECTOR
            for at in range(sector * SECTOR, (sector + 1) * SECTOR):
                chip.flash[self.label][at] = 0xFF
            chip.operation()
            return 0

        def writeblocks(self, sector: int, buf: Any, offset: int) -> None:
            at = sector * SECTOR + offset
            assert at % 16 == len(buf) % 16 == 0
            assert self.label != chip.running
            for i, byte in enumerate(bytes(buf)):
                if i == len(buf) // 2:
                    chip.operation()  # cut short in the middle
                held = chip.flash[self.label][at + i]
                assert held in (0xFF, byte), "written over what was there"
                chip.flash[self.label][at + i] = byte

        def readblocks(self, sector: int, buf: Any, offset: int = 0) -> None:
            at = sector * SECTOR + offset
            buf[:] = chip.flash[self.label][at : at + len(buf)]

        def set_boot(self) -> None:
            chip.operation()
            if chip.flash[self.label][0] != 0xE9:
                raise OSError(-5379, "ESP_ERR_OTA_VALIDATE_FAILED")
            chip.boots = self.label

        @staticmethod
        def mark_app_valid_cancel_rollback() -> None:
            chip.pending = False

    return Partition


@pytest.fixture
def chip() -> Chip:
    return Chip()


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, chip: Chip) -> Iterator[Board]:
    monkeypatch.setattr(esp32, "Partition", partition(chip), raising=False)
    for made in rig.boards(monkeypatch):
        boot = made.boot

        def supervised(cause: int, boot: Any = boot) -> None:
            if cause not in (4, 5):  # a wake and a soft reset have what ran before
                chip.reset()
            boot(cause)

        made.boot = supervised  # type: ignore[method-assign]
        made.cause = 1
        yield made


def runtime(size: int) -> bytes:
    return b"\xe9" + random.Random(size).randbytes(size - 1)


def offer(new: bytes, form: int = release.PLAIN, with_app: bool = False) -> Offer:
    """A release with a new runtime, and maybe an application behind it."""
    data = new if form == release.PLAIN else rig.deflated(new)
    components = [rig.component(new, release.RUNTIME, VERSION)]
    parts = [(release.RUNTIME, form, data, b"")]
    if with_app:
        components.append(rig.component(rig.image(NEW)))
        parts.append((release.APPLICATION, release.DEFLATED, rig.deflated(rig.image(NEW)), b""))
    return Offer(rig.manifest(*components), parts)


@pytest.mark.parametrize("size", [4096, 20_000, 20_007, 8_193, SIZE])
@pytest.mark.parametrize("form", [release.PLAIN, release.DEFLATED])
def test_it_is_written_tried_and_confirmed(board: Board, chip: Chip, size: int, form: int) -> None:
    new = runtime(size)
    most = []
    board.files.hook = lambda _what, path, data: most.append(len(data) * (path[-6:] == "blocks"))
    board.give(offer(new, form))
    assert board.go() == [(1, 0, 0)]
    assert chip.running == chip.boots == "ota_1"
    assert not chip.pending
    assert bytes(chip.flash["ota_1"][:size]) == new
    assert board.nvs["seq"] == NEW
    assert board.files.kept["/slot"] == b"a - good"
    if form == release.PLAIN:
        assert max(most) < 1_500 + size // 20, "the image is in its partition and not in a file"


def test_an_application_may_come_with_it_and_is_tried_behind_it(board: Board, chip: Chip) -> None:
    board.give(offer(runtime(20_007), with_app=True))
    assert board.go() == [(1, 0, 0)]
    assert chip.running == "ota_1"
    assert board.runs == NEW


@pytest.mark.parametrize("form", [release.PLAIN, release.DEFLATED])
@pytest.mark.parametrize("seed", range(6))
def test_power_cuts_cost_blocks_and_no_more(
    board: Board, chip: Chip, form: int, seed: int
) -> None:
    chance = random.Random(seed)
    chip.fails = {chance.randrange(1, 200) for _ in range(9)}
    board.fleet.most = 9
    new = runtime(20_007)
    board.give(offer(new, form))
    assert set(board.go(200)) == {(1, 0, 0)}
    assert bytes(chip.flash["ota_1"][: len(new)]) == new
    assert chip.running == "ota_1"


def test_what_the_chip_does_not_take_is_told(board: Board, chip: Chip) -> None:
    board.give(offer(b"no image" * 1000))
    assert board.go() == [(1, release.WRONG_RUNTIME, 500)]
    assert chip.boots == "ota_0"


def test_one_that_is_too_large_is_told(board: Board, chip: Chip) -> None:
    board.give(offer(runtime(SIZE + SECTOR)))
    assert board.go(200) == [(1, release.NO_SPACE, 300)]


def test_bytes_that_are_not_what_was_signed_never_boot(board: Board, chip: Chip) -> None:
    given = offer(runtime(9_000))
    given.stream = given.stream[:-1] + bytes((given.stream[-1] ^ 1,))
    board.give(given)
    assert board.go() == [(1, release.BAD_DIGEST, 300)]
    assert chip.boots == "ota_0"


def test_one_that_reaches_nobody_has_one_life(board: Board, chip: Chip) -> None:
    given = offer(runtime(9_000))
    board.give(given)
    while chip.running == "ota_0":
        board.wake()
    board.fleet.up = False
    board.wake()
    assert chip.running == "ota_0"
    board.fleet.up = True
    assert set(board.go()) == {(1, release.ROLLED_BACK, release.NOT_CONFIRMED)}
    assert board.nvs["seq"] == OLD


@pytest.mark.parametrize("cause", [4, 5])
def test_one_that_a_wake_or_a_soft_reset_finds_untried_is_tried(
    board: Board, chip: Chip, monkeypatch: pytest.MonkeyPatch, cause: int
) -> None:
    """Such a boot has the runtime before: its mark must not be for the new one."""
    board.give(offer(runtime(9_000)))
    boot = board.boot
    causes = [cause]  # of the boot that comes instead of the reset
    monkeypatch.setattr(board, "boot", lambda why: boot(causes.pop() if causes else why))
    board.go(20, lambda: chip.boots == "ota_1")
    assert chip.running == "ota_1"
    assert chip.pending, "the bootloader may still go back"


def test_one_that_could_not_be_noted_is_tried_all_the_same(board: Board, chip: Chip) -> None:
    """NVS takes no more behind `set_boot`, until the reset."""
    board.give(offer(runtime(9_000)))
    choose, reset = esp32.Partition.set_boot, chip.reset  # type: ignore[attr-defined]

    def set_boot(part: Any) -> None:
        choose(part)
        esp32.flash.full = True

    def restart() -> None:
        esp32.flash.full = False
        reset()

    esp32.Partition.set_boot = set_boot  # type: ignore[attr-defined]
    chip.reset = restart  # type: ignore[method-assign]
    assert board.go() == [(1, 0, 0)]


def test_a_full_nvs_is_not_the_chip_s_word(board: Board, chip: Chip) -> None:
    board.give(offer(runtime(9_000)))
    board.go(20, lambda: board.stage == release.DOWNLOADING)
    esp32.flash.full = True
    board.go(6, lambda: False)
    assert not board.fleet.results
    esp32.flash.full = False
    assert board.go() == [(1, 0, 0)]


def test_blocks_of_two_sizes_go_together(board: Board, chip: Chip) -> None:
    new = runtime(30_007)
    board.give(offer(new))
    board.fleet.most = 3
    board.fleet.BLOCK = 1024
    board.go(4, lambda: False)
    board.fleet.most, board.fleet.BLOCK = 100, 4096
    assert board.go() == [(1, 0, 0)]
    assert bytes(chip.flash["ota_1"][: len(new)]) == new


def test_one_that_begins_amid_a_unit_is_refused(board: Board, chip: Chip) -> None:
    keys = rig.trusted(2)[:-1]
    new = runtime(9_000)
    parts = [(release.PACK, release.PLAIN, keys, b""), (release.RUNTIME, release.PLAIN, new, b"")]
    both = rig.component(keys, release.PACK), rig.component(new, release.RUNTIME, VERSION)
    assert len(keys) % 16
    board.give(Offer(rig.manifest(*both), parts))
    assert board.go() == [(1, release.MALFORMED, 100)]
    assert not board.fleet.asked


def test_one_of_real_size_comes_in_blocks_of_nb_iot_with_a_node_s_heap(tmp_path: Path) -> None:
    """1.4 MB in blocks of 512 bytes, on the VM with its modules as sources: what is kept of it in
    the file is the envelope, the heads and the last bytes.
    """
    vm = Path(sys.executable).with_name("micropython")
    script = ROOT / "tests" / "vm" / "runtime_whole.py"
    command = [str(vm), "-X", "heapsize=110k", str(script), str(ROOT), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    word, size = ran.stdout.split()
    assert word == "whole", ran.stderr
    assert int(size) < 12_000


def test_a_pointer_that_cannot_be_written_costs_the_application_nothing(board: Board) -> None:
    """The file system is full behind a runtime that went back: what runs makes room."""

    def full(what: str, path: str, _data: bytes) -> None:
        if what == "before rename" and path == "/slot":
            raise OSError(28, "ENOSPC")

    board.files.kept["/slot"] = b"a - runtime"
    board.nvs["trial"] = b"ota_1 101 1 1 0"
    board.files.hook = full
    board.boot(2)
    slots = importlib.import_module("node.update.slots")
    assert not slots.give_up(release.NOT_CONFIRMED), "else it would reset for ever"
    board.files.hook = lambda _what, _path, _data: None
    board.boot(2)
    assert board.files.kept["/slot"] == b"a - good"
    assert slots.rolled() == (101, release.BOOTLOADER)


def test_one_that_gave_up_with_none_before_it_does_not_run_again(board: Board) -> None:
    board.files.kept["/slot"] = b"a - trial"
    board.nvs["trial"] = b"a 100 0 0 0 0 0 0 6 0"
    with pytest.raises(rig.Bricked, match="no slot starts"):
        board.boot(2)
    assert board.files.kept["/slot"] == b"a - bad"
