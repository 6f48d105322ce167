"""A row by the rules of a mapping: readings, nothing, or one line why not. Total."""

import re
from decimal import Decimal
from typing import NamedTuple

from fleet.bridge import units
from fleet.bridge.errors import Unmapped
from fleet.bridge.mapping import DEAD, Rules, ValueRule
from fleet.bridge.rows import Row
from fleet.legacy.intake import Value
from fleet.legacy.sources import Source
from fleet.migration.sheets import LOST

# Up to 20 places before and 15 behind the point, as anybody writes numbers; an exponent is what
# became of a number on its way, but of small doubles it is exact.
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,2})?")
_GOOD = 0
_LONGEST, _LONGEST_METER = 64, 14


class Said(NamedTuple):
    """The readings of a row: whose, in the source's words, and when. No values: it is skipped."""

    source: Source
    values: tuple[Value, ...]


def read(row: Row, rules: Rules) -> Said | None:
    """What a row says, None where it is to be skipped; Unmapped with one line."""
    cells = row.cells
    for column, texts in rules.skip.items():
        if _cell(row, column) in texts:
            return None
    due = [
        rule
        for rule in rules.values
        if all(_cell(row, column) in texts for column, texts in rule.when.items())
    ]
    if not due:
        if rules.others != DEAD:
            return None
        looked = dict.fromkeys(column for rule in rules.values for column in rule.when)
        shown = ", ".join(f"{column} {cells.get(column, '')[:24]!r}" for column in looked)
        raise Unmapped(f"no value is of {shown}")
    terminal = _name(row, rules.terminal, _LONGEST)
    meter = _name(row, rules.meter, _LONGEST_METER) if rules.meter else ""
    at = _cell(row, rules.time)
    if not at:
        raise Unmapped(f"{rules.time} is empty: when was it?")
    time_us = rules.time_of(at)
    quality = _quality(row, rules)
    made = []
    for rule in due:
        text = _cell(row, rule.column)
        if text:
            made.append(Value(rule.quantity, time_us, _number(text, rule), quality))
    if not made:
        names = ", ".join(dict.fromkeys(rule.column for rule in due))
        raise Unmapped(f"no value in {names[:100]}")
    return Said(Source(rules.by, terminal, meter), tuple(made))


def _cell(row: Row, column: str) -> str:
    if column not in row.cells:
        there = ", ".join(list(row.cells)[:8])
        raise Unmapped(f"no column {column[:40]!r}; there are {there[:120]}")
    return row.cells[column].strip()


def _name(row: Row, column: str, most: int) -> str:
    text = _cell(row, column)
    if text.startswith(LOST):
        raise Unmapped(f"{column}: a spreadsheet lost its last digits")
    if not text or len(text) > most or not text.isprintable():
        raise Unmapped(f"{column} {text[:24]!r}: 1 to {most} characters")
    return text


def _quality(row: Row, rules: Rules) -> int:
    if not rules.quality:
        return _GOOD
    text = _cell(row, rules.quality)
    if text not in rules.qualities:
        raise Unmapped(f"{rules.quality} {text[:24]!r}: the mapping says no quality for it")
    return rules.qualities[text]


def _number(text: str, rule: ValueRule) -> int:
    if text in rule.words:
        return rule.words[text]
    if text.startswith(LOST):
        raise Unmapped(f"{rule.column}: a spreadsheet lost its last digits")
    if not _NUMBER.fullmatch(text):
        raise Unmapped(f"{rule.column} {text[:40]!r} is no number")
    return units.scaled(Decimal(text), rule.factor, rule.quantity, rule.may_round)
