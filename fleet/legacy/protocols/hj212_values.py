"""The readings of an HJ 212 packet: factor by factor, with unit, time and flag."""

import csv
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from fleet.legacy.protocols import hj212_words
from fleet.legacy.protocols.frame import GOOD, SUSPECT, Value
from fleet.legacy.protocols.hj212_data import stamp

_FILE = Path(__file__).with_name("hj212_factors.csv")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,12})?")
_KINDS = {
    "Rtd": "now", "Min": "minimum", "Avg": "mean", "Max": "maximum", "Cou": "total",
    "ZsRtd": "now, converted", "ZsMin": "minimum, converted", "ZsAvg": "mean, converted",
    "ZsMax": "maximum, converted", "Data": "of the period", "DayData": "day",
    "NightData": "night", "Ala": "alarm", "RS": "state", "RT": "running time", "Info": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Factor:
    """What a code of annex B measures; units empty where it has none or is not known."""

    code: str
    unit: str
    total_unit: str
    en: str
    zh: str


def factor(code: str) -> Factor | None:
    """By the code of 2017 ("w01018"), or that of 2005 ("011"); None for what neither knows.

    Codes of processes and of the site end in a device's number, which the table lacks.
    """
    table = _factors()
    if code in table:
        return table[code]
    for size in (5, 4):
        if code[:1] in ("e", "g", "i") and len(code) == 6 and code[:size] in table:
            return table[code[:size]]
    return None


def values(cn: str, groups: tuple[tuple[tuple[str, str], ...], ...]) -> list[Value]:
    """The readings in the items of CP; what is no number is left out."""
    pairs = [pair for group in groups for pair in group]
    told = dict(pairs)
    when = stamp(told.get("DataTime", "")) or stamp(told.get("AlarmTime", ""))
    made = []
    for name, text in pairs:
        code, sign, kind = name.rpartition("-")
        if not sign or kind not in _KINDS or not _NUMBER.fullmatch(text):
            continue
        sampled = stamp(told.get(f"{code}-SampleTime", "")) if cn == "2011" else None
        made.append(_value(name, code, kind, text, sampled or when, told.get(f"{code}-Flag")))
    return made


def not_numbers(groups: tuple[tuple[tuple[str, str], ...], ...]) -> list[str]:
    """Names that ought to have a number and have none."""
    bad = []
    for group in groups:
        for name, text in group:
            _, sign, kind = name.rpartition("-")
            if sign and kind in _KINDS and kind != "Info" and not _NUMBER.fullmatch(text):
                bad.append(name)
    return bad


def _value(
    name: str, code: str, kind: str, text: str, when: datetime | None, flag: str | None
) -> Value:
    known = factor(code)
    quality, word = hj212_words.FLAGS.get(flag, (SUSPECT, "unknown flag")) if flag else (GOOD, "")
    if kind == "RS":
        state = hj212_words.STATES.get(text, "not in the standard")
        return Value(name, text, "", when, quality, f"{code}: {state}")
    if kind == "RT":
        return Value(name, text, "h", when, quality, f"{code}: running time")
    unit = ""
    if known is not None:
        unit = known.total_unit if kind == "Cou" else known.unit
    title = (known.en or known.zh) if known else code
    people = ", ".join(part for part in (title, _KINDS[kind], word) if part)
    return Value(name, text.lstrip("+").rstrip("."), unit, when, quality, people)


@cache
def _factors() -> dict[str, Factor]:
    table = {}
    with _FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            one = Factor(row["code"], row["unit"], row["total_unit"], row["en"], row["zh"])
            table[one.code] = one
            if row["old"]:
                table.setdefault(row["old"], one)
    return table
