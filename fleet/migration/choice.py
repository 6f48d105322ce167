"""One terminal's target and path by the rules: pure, so that it can be shown and tested alone."""

from typing import NamedTuple

from fleet.migration import facts as known_facts
from fleet.migration import rules as rule_files
from fleet.migration.errors import MigrationError
from fleet.migration.facts import Subject
from fleet.migration.rules import Rules

LONGEST = 200  # characters of the line


class Choice(NamedTuple):
    """`because`: the bearer and why, in one line; `rule`: the name of the one that decided."""

    bearer: str
    path: str
    because: str
    rule: str


class Step(NamedTuple):
    """How one rule was answered, for those who ask why it was not another."""

    name: str
    bearer: str
    when: str
    holds: bool


def choose(subject: Subject, rules: Rules, today: int, lang: str = "en") -> Choice:
    """Where a terminal moves, how and why; MigrationError when no rule holds."""
    known = known_facts.of(subject, rules, today)
    rule = next((one for one in rules.rules if rule_files.holds(one.when, known.facts)), None)
    if rule is None:
        raise MigrationError(
            f'no rule is for terminal {subject.row.number}: end them with one of when = "all"'
        )
    facts = known_facts.for_path(known, subject, rule.bearer)
    path = next((one for one in rules.paths if rule_files.holds(one.when, facts)), None)
    if path is None:
        raise MigrationError(
            f'no path is for terminal {subject.row.number}: end them with one of when = "all"'
        )
    words = known_facts.wording(known, subject, lang)
    text = rule_files.fill(rule.because[lang], words)
    line = f"{rule.bearer}: {text}{known_facts.assumed_words(known.assumed, lang)}"
    return Choice(rule.bearer, path.name, line[:LONGEST], rule.name)


def steps(subject: Subject, rules: Rules, today: int) -> list[Step]:
    """All rules up to the one that decides."""
    known = known_facts.of(subject, rules, today)
    found = []
    for one in rules.rules:
        holds = rule_files.holds(one.when, known.facts)
        found.append(Step(one.name, one.bearer, one.source, holds))
        if holds:
            break
    return found
