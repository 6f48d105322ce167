"""OSCORE of the fleet's end, against aiocoap's, and Echo values."""

import pytest
from aiocoap import POST, Message
from coap_rig import NodeContext
from hypothesis import given
from hypothesis import strategies as st

from fleet.coap import echo, security
from fleet.coap.security import Binding, NotAuthenticError, OptionError, Security

SECRET = bytes(range(16))
KID = b"\x0a\x0b\x0c"


def sealed(payload: bytes) -> tuple[Binding, bytes, object]:
    """A request by aiocoap: its binding, its ciphertext, what opens the answer."""
    outer, request = NodeContext(KID, SECRET).protect(Message(code=POST, payload=payload))
    return security.read_option(outer.opt.oscore), outer.payload, request


def test_a_request_of_aiocoap_is_opened() -> None:
    binding, ciphertext, _ = sealed(b"report")
    assert (binding.kid, binding.piv, binding.number) == (KID, b"\x00", 0)
    assert Security(SECRET, KID).open(binding, ciphertext) == b"\x02\xffreport"


@pytest.mark.parametrize("payload", [b"", b"receipt"])
@pytest.mark.parametrize("number", [None, 0, 1, 300, (1 << 40) - 1])
def test_aiocoap_opens_an_answer_under_either_nonce(payload: bytes, number: int | None) -> None:
    binding, _, request = sealed(b"report")
    ours = Security(SECRET, KID)
    plain = b"\x44" + (b"\xff" + payload if payload else b"")
    if number is None:
        option, ciphertext = ours.answer(binding, plain)
        assert option == b""
    else:
        option, ciphertext = ours.answer_numbered(binding, plain, number)
    outer = Message(code=68, payload=ciphertext, oscore=option)
    outer.direction = Message.decode(b"\x40\x01\x00\x00").direction
    opened, _ = NodeContext(KID, SECRET).unprotect(outer, request)
    assert (opened.code, opened.payload) == (68, payload)


def test_a_nonce_goes_once() -> None:
    binding, _, _ = sealed(b"")
    ours = Security(SECRET, KID)
    ours.answer(binding, b"\x44")
    with pytest.raises(RuntimeError, match="nonce"):
        ours.answer(binding, b"\x45")


def test_attack_any_bit_changed_is_not_authentic() -> None:
    binding, ciphertext, _ = sealed(b"report")
    ours = Security(SECRET, KID)
    for n in range(len(ciphertext) * 8):
        changed = bytearray(ciphertext)
        changed[n // 8] ^= 1 << n % 8
        with pytest.raises(NotAuthenticError):
            ours.open(binding, bytes(changed))
    for other in (Binding(KID, b"\x01"), Binding(b"abc", b"\x00"), Binding(KID, b"\x00\x00")):
        with pytest.raises(NotAuthenticError):
            ours.open(other, ciphertext)
    for n in range(len(ciphertext)):
        with pytest.raises(NotAuthenticError):
            ours.open(binding, ciphertext[:n])


@given(st.binary(max_size=12))
def test_any_oscore_option_is_a_binding_or_refused(value: bytes) -> None:
    try:
        binding = security.read_option(value)
    except OptionError:
        return
    assert value == bytes([0x08 | len(binding.piv)]) + binding.piv + binding.kid
    assert 1 <= len(binding.piv) <= 5


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x08abc", id="no Partial IV"),
        pytest.param(b"\x01\x00", id="no kid"),
        pytest.param(b"\x0e123456abc", id="a Partial IV of 6 bytes"),
        pytest.param(b"\x0f1234567abc", id="reserved"),
        pytest.param(b"\x0a1", id="half a Partial IV"),
        pytest.param(b"\x19\x00\x01xabc", id="a kid context"),
        pytest.param(b"\x29\x00abc", id="a group"),
        pytest.param(b"\x89\x00abc", id="reserved bit"),
    ],
)
def test_an_option_that_is_not_spoken_here_is_refused(value: bytes) -> None:
    with pytest.raises(OptionError):
        security.read_option(value)


def test_an_echo_value_holds_for_its_time_its_key_and_its_loss() -> None:
    now = 1_795_411_856
    value = echo.value(SECRET, 7, now)
    assert len(value) <= 40  # RFC 9175, 2.2.1
    for age in (-echo.AHEAD_S, 0, 60, echo.VALID_S):
        assert echo.is_fresh(SECRET, value, 9, now + age)
    for age in (-echo.AHEAD_S - 1, echo.VALID_S + 1, 1 << 31):
        assert not echo.is_fresh(SECRET, value, 9, now + age)
    assert not echo.is_fresh(bytes(16), value, 9, now)
    assert not echo.is_fresh(SECRET, value, 9 + echo.NUMBERS_OF_A_LOSS, now)
    later = echo.value(SECRET, 7, now + 1)
    assert not echo.is_fresh(SECRET, later[:4] + value[4:], 9, now)


@given(st.binary(max_size=20))
def test_attack_no_bytes_of_a_guesser_are_an_echo_value(given_value: bytes) -> None:
    assert not echo.is_fresh(SECRET, given_value, 0, 1_795_411_856)
