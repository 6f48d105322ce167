"""IMEI and ICCID as inventories have them: what they are, or what spoiled them."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fleet.migration.sheets import LOST
from fleet.registry.luhn import luhn, luhn_digit

_OPERATORS = Path(__file__).with_name("operators.toml")
_SCIENCE = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]+")
# China Mobile's have letters where the phone number's segment stands.
_ICCID = re.compile("89[0-9]{4}[0-9A-F]{13,14}")


class Number(NamedTuple):
    """`text`: the number, empty where it cannot be used; `fault`: a code, empty for none."""

    text: str
    fault: str = ""
    detail: str = ""


def imei(raw: str) -> Number:
    """15 digits with their check digit (3GPP TS 23.003, annex B)."""
    text = re.sub(r"[\s\-]", "", raw)
    if not text:
        return Number("")
    if text.startswith(LOST) or _SCIENCE.fullmatch(text):
        return Number("", "imei-lost", "a spreadsheet took it for a number: format it as text")
    if not re.fullmatch("[0-9]+", text):
        return Number("", "imei-shape", f"IMEI {raw[:24]!r} has 15 digits")
    if len(text) == 14:
        whole = text + luhn_digit(text)
        return Number(whole, "imei-short", f"IMEI {text} lacks its check digit: taken as {whole}")
    if len(text) == 16:
        why = "an IMEISV, which ends in a software version: give the 15 digits of AT+CGSN"
        return Number("", "imei-shape", f"IMEI {text} is {why}")
    if len(text) != 15:
        return Number("", "imei-shape", f"IMEI {text[:24]} has {len(text)} digits, not 15")
    if not luhn(text):
        why = f"IMEI {text} ends in {text[-1]}, its check digit is {luhn_digit(text[:14])}"
        return Number("", "imei-check", why)
    if len(set(text)) <= 2:
        return Number("", "imei-shape", f"IMEI {text} is a placeholder")
    return Number(text)


def iccid(raw: str) -> Number:
    """19 or 20 characters that begin with 89 (ITU-T E.118). Cards in the field do not all keep
    its check digit, so that it decides nothing.
    """
    text = re.sub(r"[\s\-]", "", raw).upper()
    if not text:
        return Number("")
    if text.startswith(LOST) or _SCIENCE.fullmatch(text):
        why = "a spreadsheet took it for a number and lost its last digits: format it as text"
        return Number("", "iccid-lost", why)
    if text.startswith("98") and _ICCID.fullmatch(_swapped(text)):
        whole = _swapped(text)
        return Number(whole, "iccid-swapped", f"ICCID {text} has its digits swapped: as {whole}")
    if not _ICCID.fullmatch(text):
        return Number("", "iccid-shape", f"ICCID {text[:24]}: 19 or 20 digits that begin with 89")
    return Number(text)


def operator_of(card: str) -> str:
    """Whose card it is; empty where its first digits are nobody's here."""
    return _cards().get(card[:6], "")


def operator_of_network(plmn: int) -> str:
    """Whose network it is, by MCC and MNC; the number itself where it is nobody's here."""
    return _networks().get(plmn, str(plmn)[:16])


@cache
def operators() -> dict[str, dict[str, str]]:
    """Their short names, and what people call them by language."""
    loaded = tomllib.loads(_OPERATORS.read_text(encoding="utf-8"))
    return {short: one["name"] for short, one in loaded.items()}


@cache
def _cards() -> dict[str, str]:
    loaded = tomllib.loads(_OPERATORS.read_text(encoding="utf-8"))
    return {card: short for short, one in loaded.items() for card in one["cards"]}


@cache
def _networks() -> dict[int, str]:
    loaded = tomllib.loads(_OPERATORS.read_text(encoding="utf-8"))
    return {plmn: short for short, one in loaded.items() for plmn in one["networks"]}


def _swapped(text: str) -> str:
    pairs = [text[at : at + 2][::-1] for at in range(0, len(text), 2)]
    return "".join(pairs).rstrip("F") if len(text) == 20 else "".join(pairs)
