"""What the story of a node's updates says in a language."""

from collections.abc import Mapping
from typing import Any

from fleet import texts
from fleet.cli.common import iso
from fleet.control.wording import RESULTS
from fleet.updates import outcomes
from fleet.updates.story import Line, Story, Waits
from fleet.wire import release


def line_text(line: Line, lang: str) -> str:
    """One thing that happened."""
    return texts.say(f"story.{line.what}", lang, _words(line.values, lang))


def waits_text(waits: Waits, lang: str) -> str:
    """What a node waits for, and until when."""
    said = texts.say(f"waits.{waits.what}", lang, _words(waits.values, lang))
    if waits.until_us is None:
        return said
    until = texts.say("waits.until", lang, {"until": iso(waits.until_us)})
    return f"{said} {until}"


def runs_text(story: Story, lang: str) -> str:
    """What a node runs."""
    if story.runs is None:
        return texts.say("story.runs-unsaid", lang)
    values = {
        **story.runs, "image": f"{story.runs['image']:08x}", "since": iso(story.runs["since_us"]),
        "runtime": version(story.runs["runtime"]),
    }  # fmt: skip
    return texts.say("story.runs" if story.runs["sequence"] else "story.runs-build", lang, values)


def version(runtime: int) -> str:
    """A runtime's version as people write it."""
    return f"{runtime >> 16}.{runtime >> 8 & 255}.{runtime & 255}" if runtime else "?"


def result_text(result: int, detail: int, lang: str) -> str:
    """What a node's result of an update says."""
    end = outcomes.end_of(result, detail)
    if result == release.ALREADY:
        return texts.say("reason.already", lang)
    if end is not None and end.reason not in ("", "failed"):
        back = result == release.ROLLED_BACK
        said = _reason(end.reason, lang)
        return texts.say("reason.back", lang, {"reason": said}) if back else said
    return texts.say(
        f"why.{RESULTS.get(result, 'other')}", lang, {"code": result, "detail": detail}
    )


def _words(values: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Values as people read them: keys of texts said, times written."""
    said = dict(values)
    if "state" in said:
        said["state"] = _optional("progress", str(said["state"]), lang)
    if said.get("reason"):
        reason = _reason(str(said["reason"]), lang)
        said["reason"] = texts.say("reason.behind", lang, {"reason": reason})
    if said.get("form"):
        said["form"] = texts.say(f"story.form-{said['form']}", lang)
    if said.get("result") is not None:
        said["result"] = result_text(said["result"], said.get("detail") or 0, lang)
    for name in ("last_report_us", "handed_us"):
        if name in said:
            said[name.removesuffix("_us")] = iso(said[name]) or texts.say("waits.never", lang)
    if "size" in said and said["size"] is None:
        said["size"] = "?"
    return said


def _reason(key: str, lang: str) -> str:
    return _optional("reason", key, lang)


def _optional(table: str, key: str, lang: str) -> str:
    try:
        return texts.say(f"{table}.{key}", lang)
    except KeyError:  # of a newer fleet
        return key
