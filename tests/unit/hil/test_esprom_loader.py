"""The loader as bytes in, bytes out: any input, the clock, NOR, eFuses; no line and no loop."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.virtual.esprom import frames as op
from hil.virtual.esprom.effects import Effect, Leave, Say
from hil.virtual.esprom.efuse import EfuseError, Efuses
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.loader import Loader
from hil.virtual.esprom.nor import REAL, Nor, NorError
from hil.virtual.esprom.silicon import SILICON
from hil.virtual.esprom.slip import Decoder, encode

MAC = bytes.fromhex("3c71bf4a0b1c")
SIZE = 1 << 20


class Rig:
    """A loader, and what it answers."""

    def __init__(self, folder: Path, chip: str = "esp32c3", costs: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.faults = Faults()
        self.efuses = Efuses(SILICON[chip], folder / "efuse.bin", MAC)
        self.nor = Nor(folder / "flash.bin", SIZE, *([REAL] if costs else []))
        self.loader = Loader(SILICON[chip], self.efuses, self.nor, self.faults)

    def ask(self, code: int, body: bytes = b"", now: int = 0, check: int = 0) -> list[Effect]:
        head = struct.pack("<BBHI", 0, code, len(body), check)
        return self.loader.feed(encode(head + body), now)

    def status(self, code: int, body: bytes = b"", check: int = 0) -> tuple[int, int]:
        """Value and status of the one answer."""
        (said,) = [e for e in self.ask(code, body, check=check) if isinstance(e, Say)]
        (frame,) = Decoder().feed(said.data)
        assert frame[:2] == bytes([1, code])
        length = 2 if self.loader.stub else 4
        return int.from_bytes(frame[4:8], "little"), int.from_bytes(frame[-length:][:2], "big")

    def data(self, code: int, payload: bytes) -> tuple[int, int]:
        check = 0xEF
        for byte in payload:
            check ^= byte
        return self.status(code, struct.pack("<4I", len(payload), 0, 0, 0) + payload, check)

    def start_stub(self) -> None:
        effects = self.ask(op.MEM_END, struct.pack("<2I", 0, 0x40380000))
        assert isinstance(effects[-1], Say)
        assert effects[-1].data == encode(b"OHAI")


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


CODES = st.sampled_from([*range(0x16), *range(0xCF, 0xD6)])
BODIES = st.binary(max_size=60) | st.lists(
    st.sampled_from([0, 1, 4, 64, 4096, SIZE - 64, SIZE, 2**32 - 1]), max_size=6
).map(lambda values: words(*values))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SILICON)),
    st.booleans(),
    st.lists(st.tuples(CODES, BODIES) | st.binary(max_size=80), max_size=8),
)
def test_any_input_gets_bounded_answers(
    tmp_path_factory: pytest.TempPathFactory,
    chip: str,
    stub: bool,
    inputs: "list[tuple[int, bytes] | bytes]",
) -> None:
    rig = Rig(tmp_path_factory.getbasetemp() / f"any-{chip}", chip)
    if stub:
        rig.start_stub()
    now = 0
    for item in inputs:
        effects = (
            rig.loader.feed(item, now) if isinstance(item, bytes) else rig.ask(*item, now=now)
        )
        for effect in effects:
            assert effect.due_us >= now
        assert sum(len(e.data) for e in effects if isinstance(e, Say)) < 2 * SIZE + 70_000
        now += 1000
    rig.loader.reset()
    said = rig.ask(op.SYNC, op.SYNC_BODY, now)
    assert len(said) == 8, "after anything a SYNC is answered"


def test_a_command_cut_short_is_refused_and_an_unknown_one_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.status(op.READ_REG, b"\0\0")[1] == 0x0105
    assert rig.status(0x77)[1] == 0x0105
    rig.start_stub()
    assert rig.status(op.READ_REG, b"\0\0")[1] == 0xC000
    assert rig.status(0x77)[1] == 0xFF00


def test_programming_only_clears_bits_and_erasing_sets_them(tmp_path: Path) -> None:
    nor = Nor(tmp_path / "flash.bin", SIZE, REAL)
    assert nor.read(0, 4) == b"\xff" * 4
    assert nor.program(254, b"\x0f\xf0\x55") == 2 * REAL.page, "it touches two pages"
    nor.program(254, b"\xff\x0f\xaa")
    assert nor.read(254, 3) == b"\x0f\x00\x00"
    assert nor.erase(0, 4096) == REAL.sector
    assert nor.read(254, 3) == b"\xff" * 3
    assert nor.erase(65536, 65536 + 4096) == REAL.block + REAL.sector
    with pytest.raises(NorError):
        nor.erase(1, 4096)
    with pytest.raises(NorError):
        nor.program(SIZE - 1, b"ab")


def test_without_an_erase_the_flash_keeps_its_zeros(tmp_path: Path) -> None:
    # The guard against a flash that would be too kind: a file that is just overwritten.
    rig = Rig(tmp_path)
    rig.nor.program(0, b"\0" * 16)
    rig.start_stub()
    rig.status(op.FLASH_BEGIN, words(16, 1, 16, 0, 0))
    assert rig.data(op.FLASH_DATA, b"\xa5" * 16)[1] == 0
    assert rig.nor.read(0, 16) == b"\xa5" * 16
    rig.nor.program(0, b"\x0f")
    assert rig.nor.read(0, 1) == b"\x05"


def test_more_data_than_announced_is_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.start_stub()
    rig.status(op.DEFL_BEGIN, words(100, 1, 0x4000, 0, 0))
    bomb = zlib.compress(bytes(50_000_000))
    assert rig.data(op.DEFL_DATA, bomb[:16_000])[1] == 0xC900
    assert rig.nor.read(4096, 4096) == b"\xff" * 4096
    rig.status(op.DEFL_BEGIN, words(100, 1, 0x4000, 0, 0))
    assert rig.data(op.DEFL_DATA, b"no deflate")[1] == 0xC700
    assert rig.status(op.DEFL_BEGIN, words(8192, 1, 0x4000, SIZE - 4096, 0))[1] == 0xC400


def test_the_stub_answers_before_it_writes_and_the_rom_after(tmp_path: Path) -> None:
    rig = Rig(tmp_path, costs=True)
    body = words(4096, 0, 0, 0) + bytes(4096)
    (begun,) = rig.ask(op.FLASH_BEGIN, words(8192, 2, 4096, 0, 0), 0)
    assert begun.due_us == 2 * REAL.sector, "the ROM erases at the beginning"
    now = begun.due_us
    (said,) = rig.ask(op.FLASH_DATA, body, now, 0xEF)
    assert said.due_us == now + 16 * REAL.page
    rig = Rig(tmp_path, costs=True)
    rig.start_stub()
    (begun,) = rig.ask(op.FLASH_BEGIN, words(8192, 2, 4096, 0, 0), 0)
    (first,) = rig.ask(op.FLASH_DATA, body, 0, 0xEF)
    (second,) = rig.ask(op.FLASH_DATA, body, 0, 0xEF)
    assert (begun.due_us, first.due_us) == (0, 0)
    assert second.due_us == REAL.sector + 16 * REAL.page, "it waits for the first block"


def test_at_another_rate_nothing_is_understood(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    sync = op.SYNC_FRAME
    assert len(rig.loader.feed(sync, 0, 115_200)) == 8, "the first SYNC tells the rate"
    assert rig.loader.feed(sync, 0, 460_800) == []
    assert len(rig.loader.feed(sync, 0, 116_000)) == 8, "a little off does not matter"
    rig.ask(op.CHANGE_BAUDRATE, words(460_800, 0))
    assert len(rig.loader.feed(sync, 0, 460_800)) == 8


def test_leaving_the_stub_is_the_rom_again_and_leaving_the_rom_the_application(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path)
    assert rig.ask(op.FLASH_END, words(1))[-1] == Leave(0, "app")
    rig.start_stub()
    assert len(rig.ask(op.FLASH_END, words(1))) == 1
    assert rig.ask(op.FLASH_END, words(0))[-1] == Leave(0, "rom")


def test_secure_download_mode_leaves_little(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    field = SILICON["esp32c3"].secure_download
    assert field is not None
    rig.efuses.burn(field, 1)
    assert rig.status(op.READ_REG, words(0x60008844))[1] == 0, "it holds from the next reset on"
    rig.loader.reset()
    assert rig.status(op.READ_REG, words(0x60008844))[1] == 0x0105
    assert rig.status(op.MEM_BEGIN, words(1, 1, 1, 1))[1] == 0x0105
    assert rig.status(op.FLASH_MD5, words(0, 16, 0, 0))[1] == 0x0105
    assert rig.status(op.FLASH_BEGIN, words(16, 1, 16, 0, 0))[1] == 0


@pytest.mark.parametrize("name", sorted(SILICON))
def test_efuses_only_ever_gain_bits_and_protection_holds(tmp_path: Path, name: str) -> None:
    chip = SILICON[name]
    efuses = Efuses(chip, tmp_path / "efuse.bin", MAC)
    assert efuses.mac == MAC
    assert efuses.security == (False, False, False, False)
    key = chip.blocks[4 if chip.efuse_per_block else 1]
    number = chip.blocks.index(key)
    program = 2 | (number << 2 if chip.efuse_per_block else 0)

    def burn(block: int, word: int, value: int) -> None:
        efuses.write(chip.blocks[block].write + 4 * word, value)
        efuses.write(chip.efuse_command, 2 | (block << 2 if chip.efuse_per_block else 0))

    efuses.write(key.read, 0xFFFF)
    assert efuses.read(key.read) == 0, "the read window is not for writing"
    efuses.write(key.write, 0x0F0F)
    efuses.write(chip.efuse_command, program)
    burn(number, 0, 0x00F0)
    assert efuses.read(key.read) == 0x0FFF
    assert key.write_disable is not None
    assert key.read_disable is not None
    burn(0, 0, 1 << key.write_disable)
    burn(number, 0, 0xF000)
    assert efuses.read(key.read) == 0x0FFF, "it is protected against writing"
    burn(0, chip.read_disable.word, 1 << chip.read_disable.shift + key.read_disable)
    assert efuses.read(key.read) == 0, "and now against reading"
    again = Efuses(chip, tmp_path / "efuse.bin", bytes(6))
    assert again.mac == MAC
    assert again.read(key.read) == 0
    (tmp_path / "efuse.bin").write_bytes(b"short")
    with pytest.raises(EfuseError):
        efuses.reload()
