"""otadata as ESP-IDF's bootloader keeps it: whatever happens to it, what was good boots."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from hil.virtual import otadata
from hil.virtual.otadata import SECTOR, Entry, State

ERASED = b"\xff" * (2 * SECTOR)


class Flash:
    """The partition's two sectors."""

    def __init__(self, *entries: Entry | None) -> None:
        self.raw = bytearray(ERASED)
        for number, entry in enumerate(entries):
            if entry is not None:
                self.write(number, entry.packed())

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.raw[offset : offset + size])

    def write(self, sector: int, data: bytes) -> None:
        self.raw[sector * SECTOR : (sector + 1) * SECTOR] = data.ljust(SECTOR, b"\xff")

    def boot(self) -> int | None:
        return otadata.boot(self.read, self.write, 2)

    def states(self) -> list[State | None]:
        return [entry and entry.state for entry in otadata.entries(self.read)]


def test_erased_it_names_no_slot() -> None:
    assert Flash().boot() is None


def test_what_was_set_to_boot_is_on_trial_and_gone_with_the_next_reset() -> None:
    flash = Flash(Entry(1, State.VALID), Entry(2, State.NEW))
    assert flash.boot() == 1
    assert flash.states() == [State.VALID, State.PENDING_VERIFY]
    assert flash.boot() == 0
    assert flash.states() == [State.VALID, State.ABORTED]
    assert flash.boot() == 0


def test_what_says_that_it_works_stays() -> None:
    flash = Flash(Entry(1, State.VALID), Entry(2, State.VALID))
    assert [flash.boot(), flash.boot()] == [1, 1]


def test_the_first_one_ever_falls_back_to_what_otadata_never_named() -> None:
    flash = Flash(Entry(2, State.NEW))
    assert [flash.boot(), flash.boot()] == [1, None]


def test_a_damaged_entry_counts_as_none() -> None:
    flash = Flash(Entry(1, State.VALID), Entry(2, State.VALID))
    flash.raw[SECTOR] ^= 4
    assert flash.boot() == 0
    flash.write(1, struct.pack("<I20sII", 4, b"", 9, 0))
    assert flash.boot() == 0


entries = st.none() | st.builds(Entry, st.integers(1, 9), st.sampled_from(list(State)))


@given(entries, entries)
def test_nothing_is_ever_on_trial_twice(one: Entry | None, other: Entry | None) -> None:
    flash = Flash(one, other)
    first = flash.boot()
    tried = State.PENDING_VERIFY in flash.states()
    second = flash.boot()
    if not tried:
        assert second == first
    assert flash.states().count(State.PENDING_VERIFY) <= 1
    if State.VALID in flash.states():
        assert second is not None
