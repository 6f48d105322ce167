"""What is sent to a box beside questions to its meters: words, and no frame of theirs."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet.legacy import words
from fleet.legacy.words import NotWords, only_words
from fleet.migration import plugins
from fleet.wire import cjt188, dlt645, modbus

PRINTABLE = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=160
)
GAS, POWER = "33007801443322", "000000000161"
ACTS = [
    cjt188.valve_request(0x30, GAS, cjt188.CLOSE, 1),
    cjt188.encode(0x30, GAS, cjt188.SET_BASE, bytes(8)),
    dlt645.encode(POWER, 0x1C, bytes(16)),
    dlt645.encode(POWER, dlt645.WRITE, bytes(12)),
    modbus.write_request(7, 0, [1]),
]


def refused(text: str) -> bool:
    """Whether it is."""
    try:
        only_words(text)
    except NotWords:
        return True
    return False


@given(PRINTABLE)
@example('AT+QCFG="nwscanmode",3,1')
def test_what_passes_is_the_text_and_its_line_end_and_nothing_that_acts(text: str) -> None:
    if refused(text):
        return
    data = only_words(text)
    assert data == text.encode() + b"\r\n"
    assert 0x16 not in data  # the end of CJ/T 188 and of DL/T 645, wherever one began
    assert data[1] >= 0x20 or len(text) == 1  # Modbus: what follows the address; writes are below
    for decode in (cjt188.decode, dlt645.decode, modbus.decode):
        with pytest.raises(ValueError):  # noqa: PT011  # each has its own
            decode(data)


@settings(max_examples=40)
@given(st.text(max_size=200).filter(lambda text: not re.fullmatch(r"[ -~]{1,160}", text)))
@example("")
@example("AT\r\nAT")
@example("AT\x16")
@example("A" * 161)
@example("设置")
def test_whatever_else_is_refused(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize("frame", ACTS)
def test_a_frame_that_acts_is_refused(frame: bytes) -> None:
    assert refused(frame.decode("latin-1"))


@given(st.integers(0, 247), st.binary(min_size=1, max_size=40))
def test_a_frame_of_modbus_ascii_is_refused_wherever_it_stands(unit: int, pdu: bytes) -> None:
    body = bytes((unit,)) + pdu
    frame = ":" + (body + bytes((-sum(body) & 0xFF,))).hex().upper()
    assert refused(frame)
    assert refused("AT+SEND=" + frame)


@pytest.mark.parametrize(
    "text",
    [
        "##0101QN=20160801085857223;ST=32;CN=3012;PW=100000;MN=1;Flag=5;CP=&&&&1C80",
        'AT+CGDCONT=1,"IP","o39xyco"',
    ],
    ids=["hj212", "modbus-crc"],
)
def test_what_is_printable_and_still_a_frame_is_refused(text: str) -> None:
    assert refused(text)


def test_an_address_with_its_port_is_none() -> None:
    assert only_words('AT+QIOPEN=1,0,"TCP","iot.example.cn:123456"')


def test_the_steps_of_each_plug_in_of_ours_are_words() -> None:
    for plugin in plugins.load().values():
        for target in plugin.to:
            for step in plugins.steps(plugin, target, {"apn": "cmiot"}):
                assert plugin.by == plugins.SMS or only_words(step.send)


def test_sabotage_without_the_guard_a_frame_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_WORDS", re.compile("(?s).*"))
    assert not refused(ACTS[-1].decode("latin-1").encode("ascii", "replace").decode())
    frame = b"\x68\x10\x16".decode("latin-1")
    assert only_words(frame) == b"\x68\x10\x16\r\n"
