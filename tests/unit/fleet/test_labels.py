"""The text of a label: what is written comes back, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.registry import labels
from fleet.registry.labels import LabelError, LabelText, check_iccid, check_imei, parse
from fleet.registry.luhn import luhn, luhn_digit
from fleet.wire import nodeid

digits = st.text("0123456789", min_size=1, max_size=30)
texts = st.builds(
    LabelText,
    st.integers(0, (1 << 48) - 1).map(lambda n: nodeid.from_mac(n.to_bytes(6, "big"))),
    st.just("") | st.text("0123456789", min_size=15, max_size=15),
    st.just("") | st.text("0123456789", min_size=17, max_size=18).map("89".__add__),
)
EXAMPLE = "kapok:1gntj14d2p;imei=867997041234567;iccid=89860412345678901234;c=7a21"


@given(texts)
def test_a_label_comes_back(text: LabelText) -> None:
    encoded = text.encode()
    assert len(encoded) <= 71
    assert parse(encoded) == text
    assert parse(f"  {encoded.upper()}\r\n") == text  # caps lock, and a scanner's return
    assert parse(text.typed()) == LabelText(text.node_id)


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(LabelError) as refusal:
        parse(text)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@given(texts, st.data())
def test_attack_one_wrong_character_or_two_swapped(text: LabelText, data: st.DataObject) -> None:
    encoded = text.encode()
    place = data.draw(st.integers(0, len(encoded) - 1))
    wrong = data.draw(st.sampled_from("0123456789abcdefghjkmnpqrstvwxyz:;="))
    changed = encoded[:place] + wrong + encoded[place + 1 :]
    if changed != encoded:
        with pytest.raises(LabelError):
            parse(changed)
    swapped = encoded[:place] + encoded[place : place + 2][::-1] + encoded[place + 2 :]
    if swapped != encoded:
        with pytest.raises(LabelError):
            parse(swapped)


def test_sabotage_without_the_check_a_wrong_digit_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = EXAMPLE.replace("041234567", "041234568")
    with pytest.raises(LabelError, match="wrong character"):
        parse(wrong)
    monkeypatch.setattr(labels, "_check", lambda _text: "7a21")
    assert parse(wrong).imei == "867997041234568"


@pytest.mark.parametrize(
    "text",
    ["", "1gntj14d2p", "kapok:1gntj14d2p", EXAMPLE[:-1], EXAMPLE + "0", EXAMPLE * 3,
     EXAMPLE.replace("imei", "iccid"), EXAMPLE.replace("1", "１"), "\u212a" + EXAMPLE[1:]],
)  # fmt: skip
def test_what_is_no_label(text: str) -> None:
    with pytest.raises(LabelError):
        parse(text)


def test_a_node_id_of_over_48_bits_is_none() -> None:
    with pytest.raises(LabelError, match="no node id"):
        parse(LabelText("zzzzzzzzzz").encode())


@given(digits)
def test_luhn_tells_every_wrong_digit(number: str) -> None:
    whole = number + luhn_digit(number)
    assert luhn(whole)
    for place, digit in enumerate(whole):
        for other in "0123456789":
            if other != digit:
                assert not luhn(whole[:place] + other + whole[place + 1 :])


def test_luhn_as_in_the_standard() -> None:
    assert luhn("490154203237518")  # the IMEI of 3GPP TS 23.003's examples
    assert luhn("8931440400000000005"[:18] + luhn_digit("8931440400000000005"[:18]))


@pytest.mark.parametrize("number", ["490154203237517", "49015420323751", "49015420323751８"])
def test_an_imei_that_is_none(number: str) -> None:
    with pytest.raises(LabelError, match="IMEI"):
        check_imei(number)


@pytest.mark.parametrize("number", ["89860412345678901235", "8986", "12860412345678901234"])
def test_an_iccid_that_is_none(number: str) -> None:
    with pytest.raises(LabelError, match="ICCID"):
        check_iccid(number)


def test_numbers_that_are_right() -> None:
    assert check_imei("490154203237518") == "490154203237518"
    assert check_iccid("89860412345678901234") == "89860412345678901234"
