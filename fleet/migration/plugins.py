"""Small plug-ins, data for each family of models: what to send so that a terminal changes its
network by itself, and what undoes it. `kapok migrate send` sends it (sending.py): by SMS, or by
the connection that `kapok legacy serve` has.
"""

import re
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fleet.legacy.words import NotWords, only_words
from fleet.migration import answers
from fleet.migration.errors import MigrationError
from fleet.migration.rules import TARGETS

OWN = Path(__file__).with_name("plugins.toml")
LOCAL = "migration-plugins.toml"  # in the data folder
SMS, CONNECTION = "sms", "connection"
_LONGEST_SMS = 160
_LONGEST_PATTERN = 200
_FIELDS = {
    # None of them may end a command or a quoted value and begin another.
    "apn": (re.compile(r"[A-Za-z0-9.\-]{1,63}"), "letters, digits, dots and hyphens"),
    "host": (re.compile(r"[A-Za-z0-9.\-]{1,100}"), "a host name or an IPv4 address"),
    "port": (re.compile(r"[1-9][0-9]{0,4}"), "a port"),
    "password": (re.compile(r"[A-Za-z0-9]{1,32}"), "letters and digits"),
}
PASSWORD = "password"  # noqa: S105  # a field's name
_NAME = re.compile(r"\{(\w+)\}")


class Step(NamedTuple):
    """`send` this by sms or connection; the answer `expects` a pattern somewhere in it."""

    by: str
    send: str
    expects: str


class Answer(NamedTuple):
    """What came of a step; `good`: as it was expected."""

    step: Step
    answer: str
    good: bool


class Plugin(NamedTuple):
    """`to` and `back`: (text, expected pattern) by target."""

    name: str
    title: str
    by: str
    to: Mapping[str, tuple[tuple[str, str], ...]]
    back: Mapping[str, tuple[tuple[str, str], ...]]


def load(folder: Path | None = None) -> dict[str, Plugin]:
    """Those that come along, and those of a data folder, which go before; MigrationError."""
    found = dict(_own())
    path = folder / LOCAL if folder is not None else None
    if path is not None and path.is_file():
        found |= read(path.read_text(encoding="utf-8"), path.name)
    return found


def read(text: str, where: str) -> dict[str, Plugin]:
    """The plug-ins of a text; MigrationError names the one that is wrong."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise MigrationError(f"{where} is no TOML: {e}") from None
    found = {}
    for name, one in raw.items():
        try:
            found[name] = Plugin(
                name, one["title"], one["by"], _ways(one["to"]), _ways(one.get("back", {}))
            )
            if one["by"] not in (SMS, CONNECTION):
                raise ValueError(f"by is {SMS} or {CONNECTION}")
            _check_secrets(found[name])
        except (KeyError, TypeError, AttributeError, ValueError, re.error) as e:
            reason = f"{e.args[0]} is missing" if isinstance(e, KeyError) else str(e)
            raise MigrationError(f"{where}, {name[:24]}: {reason}") from None
    return found


def steps(plugin: Plugin, target: str, values: Mapping[str, str]) -> list[Step]:
    """What to send for a target, `values` filled in; MigrationError when it cannot be."""
    return _filled(plugin, plugin.to, target, values)


def undo(plugin: Plugin, target: str, values: Mapping[str, str]) -> list[Step]:
    """What takes it back; MigrationError where the plug-in knows no way."""
    return _filled(plugin, plugin.back, target, values)


def outline(
    plugin: Plugin, target: str, values: Mapping[str, str]
) -> tuple[list[Step], list[Step]]:
    """As `steps` and `undo` for people, who get no password: names stand for it, and for what
    `values` do not have. Without a way back that one is empty.
    """
    if target not in plugin.to:
        raise MigrationError(f"the plug-in {plugin.name} knows no way to {target}")

    def named(found: re.Match[str]) -> str:
        is_told = found[1] in values and found[1] != PASSWORD
        return _value(plugin, found[1], values) if is_told else found[0]

    to, back = (
        [
            Step(plugin.by, _NAME.sub(named, text), expects)
            for text, expects in ways.get(target, ())
        ]
        for ways in (plugin.to, plugin.back)
    )
    return to, back


def masked(text: str, values: Mapping[str, str]) -> str:
    """A text without the password, wherever it stands."""
    secret = values.get(PASSWORD, "")
    return text.replace(secret, "***") if secret else text


async def carry_out(
    several: list[Step], send: Callable[[Step], Awaitable[str]],
    tell: Callable[[Answer], None] = lambda _: None,
) -> list[Answer]:  # fmt: skip
    """Send one step after the other until one is not answered as expected; `send` has deadlines
    of its own, and gives "" for no answer. `tell` is told each answer as it came.
    """
    done = []
    for step in several:
        answer = (await send(step))[: answers.LONGEST]
        done.append(Answer(step, answer, answers.is_good(step.send, step.expects, answer)))
        tell(done[-1])
        if not done[-1].good:
            break
    return done


def _check_secrets(plugin: Plugin) -> None:
    """A connection is not authenticated."""
    texts = [text for ways in (plugin.to, plugin.back) for way in ways.values() for text, _ in way]
    if plugin.by == CONNECTION and any(f"{{{PASSWORD}}}" in text for text in texts):
        raise ValueError(
            f"{{{PASSWORD}}} is not sent by {CONNECTION}: who claims to be the terminal learns it"
        )


def _ways(raw: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    found = {}
    for target, several in raw.items():
        if target not in TARGETS:
            raise ValueError(f"{target!r} is none of {', '.join(TARGETS)}")
        for one in several:
            re.compile(one["expects"])
            if len(one["expects"]) > _LONGEST_PATTERN:
                raise ValueError(f"expects has {_LONGEST_PATTERN} characters at most")
            wrong = [name for name in _NAME.findall(one["send"]) if name not in _FIELDS]
            if wrong:
                raise ValueError(f"{{{wrong[0]}}} is none of {', '.join(_FIELDS)}")
        found[target] = tuple((one["send"], one["expects"]) for one in several)
    return found


def _filled(
    plugin: Plugin, ways: Mapping[str, tuple[tuple[str, str], ...]], target: str,
    values: Mapping[str, str],
) -> list[Step]:  # fmt: skip
    if target not in ways:
        raise MigrationError(f"the plug-in {plugin.name} knows no way to {target}")
    found = []
    for text, expects in ways[target]:
        sent = _NAME.sub(lambda name: _value(plugin, name[1], values), text)
        if plugin.by == SMS and len(sent) > _LONGEST_SMS:
            raise MigrationError(f"the plug-in {plugin.name}: no SMS has {len(sent)} characters")
        if plugin.by == CONNECTION:
            _check_words(plugin, sent)
        found.append(Step(plugin.by, sent, expects))
    return found


def _check_words(plugin: Plugin, sent: str) -> None:
    try:
        only_words(sent)
    except NotWords as e:
        raise MigrationError(f"the plug-in {plugin.name}: {e}") from None


def _value(plugin: Plugin, name: str, values: Mapping[str, str]) -> str:
    pattern, shape = _FIELDS[name]
    text = values.get(name, "")
    if not pattern.fullmatch(text):
        told = "" if name == PASSWORD else f", not {text[:24]!r}"
        raise MigrationError(f"the plug-in {plugin.name} needs {name}: {shape}{told}")
    return text


@cache
def _own() -> dict[str, Plugin]:
    return read(OWN.read_text(encoding="utf-8"), OWN.name)
