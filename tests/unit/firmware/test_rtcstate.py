"""RTC memory gives back what was saved, or says that it cannot. Whatever bytes are there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.store.rtcstate import COLD, CORRUPT, LIMIT, WARM, RtcState
from node.wire import cbor


class Memory:
    """`machine.RTC().memory`."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def __call__(self, data: bytes | None = None) -> bytes | None:
        if data is None:
            return self.data
        self.data = bytes(data)
        return None


VALUES = st.dictionaries(
    st.one_of(st.integers(0, 1000), st.text(max_size=10)),
    st.one_of(st.integers(-(1 << 62), 1 << 62), st.binary(max_size=40), st.none(), st.booleans()),
    max_size=20,
)


@given(VALUES)
def test_what_was_saved_comes_back(values: dict[int | str, object]) -> None:
    memory = Memory()
    state = RtcState(memory)
    assert state.load() == COLD
    for key, value in values.items():
        state.set(key, value)
    state.save()
    again = RtcState(memory)
    assert again.load() == WARM
    assert {key: again.get(key, "none") for key in values} == values
    assert again.get("absent") is None
    assert again.get("absent", 7) == 7


@given(st.binary(max_size=LIMIT))
def test_any_bytes_give_a_verdict(data: bytes) -> None:
    assert RtcState(Memory(data)).load() in ((CORRUPT,) if any(data) else (COLD,))


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_frame_is_noticed(at: int, bit: int, cut: bool) -> None:
    memory = Memory()
    state = RtcState(memory)
    state.set("pulses", 123456)
    state.set("next_report", 1795411856)
    state.save()
    data = bytearray(memory.data)
    if cut:
        del data[1 + at % (len(data) - 1) :]
    else:
        data[at % len(data)] ^= 1 << bit
    damaged = RtcState(Memory(bytes(data)))
    assert damaged.load() == CORRUPT
    assert damaged.get("pulses") is None


def test_without_the_crc_a_damaged_frame_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: what the CRC is there for."""
    monkeypatch.setattr("binascii.crc32", lambda data: 0)
    memory = Memory()
    state = RtcState(memory)
    state.set("pulses", 123456)
    state.save()
    memory.data = memory.data[:-1] + bytes([memory.data[-1] ^ 1])
    assert state.load() == WARM
    assert state.get("pulses") == 123457


def test_a_load_that_finds_nothing_forgets_what_was_known() -> None:
    state = RtcState(Memory(b"\xff" * 20))
    state.set("a", 1)
    assert state.load() == CORRUPT
    assert state.get("a") is None


def test_too_much_or_foreign_state_is_refused_and_the_old_stays() -> None:
    memory = Memory()
    state = RtcState(memory)
    state.set("a", 1)
    state.save()
    kept = memory.data
    state.set("b", b"x" * LIMIT)
    with pytest.raises(ValueError, match="RTC memory"):
        state.save()
    state.set("b", object())
    with pytest.raises(cbor.CborError):
        state.save()
    assert memory.data == kept
    state.set("b", b"x" * (LIMIT - 9 - 9))
    state.save()
    assert len(memory.data) <= LIMIT
