"""What an alarm says in a language."""

import contextlib

from fleet import texts
from fleet.alarms.operations import Listed


def text_of(alarm: Listed, lang: str) -> str:
    """One line. A detail `evidence` names a text of its own, filled from the same detail."""
    values: dict[str, object] = dict(alarm.detail)
    if "evidence" in values:
        with contextlib.suppress(KeyError):  # of a newer fleet: the word itself has to do
            values["evidence"] = texts.say(f"evidence.{values['evidence']}", lang, values)
    return texts.say(f"alarm.{alarm.kind}", lang, values)
