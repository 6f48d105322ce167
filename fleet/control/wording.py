"""What commands, results and reasons say in a language."""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet import schema, texts
from fleet.control import keys
from fleet.control.command_lists import Part
from fleet.control.drift import REFUSED, Newest
from fleet.wire import command

# Results of items: keys of texts, `why.<key>`.
RESULTS = {
    command.DONE: "done", command.EXPIRED: "too-late", command.FORGED: "forged",
    command.REPLAYED: "replayed", command.NO_SUCH: "no-such", command.BAD_ARGUMENTS: "arguments",
    command.NO_CLOCK: "no-clock", command.NOT_MINE: "not-mine", command.NOT_ARMED: "not-armed",
    command.FAILED: "failed", command.DANGER: "danger", command.UNPOWERED: "unpowered",
    command.REVERTED: "reverted", schema.UNKNOWN: "key-unknown", schema.TYPE: "key-type",
    schema.BELOW: "key-below", schema.ABOVE: "key-above", schema.INVALID: "key-invalid",
    schema.MISSING: "key-missing", schema.BOARDS: "key-boards",
}  # fmt: skip
_KEY_RESULTS = range(schema.UNKNOWN, schema.BOARDS + 1)


def name_text(name: str, lang: str) -> str:
    """What a command is called."""
    try:
        return texts.say(f"command.{name}", lang)
    except KeyError:  # of a newer fleet
        return name


def result_text(result: int, detail: int | None, lang: str, candidates: Iterable[str] = ()) -> str:
    """What a node's result says; of a refused key its name, where it is among `candidates` or
    those of the schema.
    """
    values: Mapping[str, Any] = {"code": result, "detail": detail or 0}
    if result in _KEY_RESULTS:
        crc = detail or 0
        key = keys.named(crc, [*candidates, *keys.all_keys()])
        values = {**values, "key": key or f"{crc & 0xFFFFFFFF:08x}"}
    return texts.say(f"why.{RESULTS.get(result, 'other')}", lang, values)


def part_text(part: Part, lang: str) -> str:
    """Why a node's part is as it is; empty while nothing is to be said."""
    if part.result is not None:
        said = result_text(part.result, part.detail, lang)
        return f"{said} ({texts.say('why.by-file', lang)})" if part.trust == 0 else said
    return texts.say(f"why.{part.why}", lang) if part.why else ""


def newest_text(newest: Newest | None, lang: str) -> str:
    """Why a node drifts: where its newest patch is, or why it was refused."""
    if newest is None:
        return texts.say("why.unsaid", lang)
    if newest.state == REFUSED:
        if newest.result is None:
            return texts.say("why.told", lang)
        return result_text(newest.result, newest.detail, lang, newest.keys)
    return texts.say(f"why.{newest.state}", lang)
