"""What rollouts say to people, in a language."""

from collections.abc import Mapping

from fleet import texts
from fleet.rollouts import filling
from fleet.rollouts.events import Event
from fleet.rollouts.preview import Excluded, Standing


def state_text(state: str, why: str, lang: str) -> str:
    """The state of a rollout, and why it is so."""
    said = texts.say(f"rollout-state.{state}", lang)
    return f"{said}: {texts.say(f'rollout-why.{why}', lang)}" if why else said


def picture_text(key: str, lang: str, **values: object) -> str:
    """A line of a picture of rollouts."""
    return texts.say(f"rollout-picture.{key}", lang, values)


def headings(keys: str, lang: str) -> list[str]:
    """Of a table, by the names of its columns."""
    return [texts.say(f"rollout-heading.{key}", lang) for key in keys.split()]


def group_text(name: str, lang: str) -> str:
    """A group's name."""
    kind, _, number = name.partition("-")
    kind = kind if kind in (filling.CANARY, filling.LATE) else filling.STAGE
    return texts.say(f"rollout-group.{kind}", lang, {"number": number})


def update_text(state: str, lang: str) -> str:
    """The state of one node's part."""
    return texts.say(f"progress.{state}", lang)


def reason_text(reason: str, lang: str) -> str:
    """Why it is in that state; a key that nobody knows stays as it is."""
    for kind in ("reason", "progress"):
        if f"{kind}.{reason}" in texts.known():
            return texts.say(f"{kind}.{reason}", lang)
    return reason


def event_text(event: Event, lang: str) -> str:
    """Something in a rollout's history."""
    detail: Mapping[str, object] = event.detail
    for name in ("name", "group"):
        if name in detail:
            detail = {**detail, name: group_text(str(detail[name]), lang)}
    return texts.say(f"rollout-event.{event.kind}", lang, detail)


def excluded_text(one: Excluded | Standing, lang: str) -> str:
    """Why a node is left out."""
    return texts.say(f"rollout-excluded.{one.reason}", lang, {"source": one.source})
