"""What an alarm says in a language."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

from fleet import texts
from fleet.alarms.details import VALUES
from fleet.alarms.listing import Listed
from fleet.alarms.rules import Rule
from fleet.telemetry.operations import quantity_name, written

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOCAL = timezone(timedelta(hours=8))  # China has one time zone and no summer time


def text_of(alarm: Listed, lang: str, rule: Rule | None = None) -> str:
    """One line. A detail `evidence` names a text of its own, filled from the same detail.

    `rule`: that of the alarm's kind, where it is one of a pack.
    """
    values: dict[str, object] = dict(alarm.detail)
    if "evidence" in values:
        with contextlib.suppress(KeyError):  # of a newer fleet: the word itself has to do
            values["evidence"] = texts.say(f"evidence.{values['evidence']}", lang, values)
    quantity = values.get("quantity")
    if isinstance(quantity, int):
        for name in VALUES:
            if isinstance(values.get(name), int):
                values[name] = written(quantity, int(str(values[name])))
    if isinstance(values.get("since"), int):
        values["since"] = moment(int(str(values["since"])))
    if isinstance(values.get("over"), int):
        values["over"] = span(int(str(values["over"])), lang)
    if "measured" in values:
        values["measured"] = _measured(str(values["measured"]), lang)
    if rule is not None:
        return texts.fill(rule.texts[lang], values)
    try:
        return texts.say(f"alarm.{alarm.kind}", lang, values)
    except KeyError:  # of a rule that is no more in force
        return texts.say("list.of-rule", lang, {**values, "kind": alarm.kind})


def moment(us: int) -> str:
    """A time as people in China read it."""
    return f"{(_EPOCH + timedelta(microseconds=us)).astimezone(LOCAL):%Y-%m-%d %H:%M}"


def span(us: int, lang: str) -> str:
    """A length of time in the largest unit that divides it: 900 s are 15 min."""
    seconds = us // 1_000_000
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds % size == 0 and seconds >= size:
            return texts.say(f"unit.{unit}", lang, {"count": seconds // size})
    return texts.say("unit.s", lang, {"count": seconds})


def quantity(code: int, lang: str) -> str:
    """A quantity's name for people; the catalogue's where there is no text for it."""
    name = quantity_name(code)
    try:
        return texts.say(f"quantity.{name}", lang)
    except KeyError:
        return name


def _measured(raw: str, lang: str) -> str:
    pairs = [each.split(":") for each in raw.split(",") if each]
    told = [f"{quantity(int(code), lang)} {written(int(code), int(v))}" for code, v in pairs]
    return f" ({', '.join(told)})" if told else ""
