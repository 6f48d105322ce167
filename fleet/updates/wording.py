"""What the story of a node's updates says in a language."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fleet import texts
from fleet.control.wording import RESULTS
from fleet.updates import outcomes
from fleet.updates.story import Line, Story, Waits
from fleet.wire import release


def said(story: Story, lang: str) -> dict[str, Any]:
    """All of it for programs, with what people read of each part as `says`."""
    runs = None if story.runs is None else {**story.runs, "says": runs_text(story, lang)}
    lines = [
        {"at": iso(line.at_us), "what": line.what, **line.values, "says": line_text(line, lang)}
        for line in story.lines
    ]
    waits = {
        "what": story.waits.what, **story.waits.values, "until": iso(story.waits.until_us),
        "again": iso(story.waits.again_us), "says": waits_text(story.waits, lang),
    }  # fmt: skip
    return {
        "node": story.node_id, "state": story.state, "last_report": iso(story.last_report_us),
        "runs": runs, "story": lines, "waits": waits,
    }  # fmt: skip


def iso(us: int | None) -> str:
    """Microseconds since 1970 as ISO 8601 UTC; empty for None."""
    if us is None:
        return ""
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def line_text(line: Line, lang: str) -> str:
    """One thing that happened."""
    return texts.say(f"story.{line.what}", lang, _words(line.values, lang))


def waits_text(waits: Waits, lang: str) -> str:
    """What a node waits for, and until when."""
    said = [texts.say(f"waits.{waits.what}", lang, _words(waits.values, lang))]
    for key, at_us in (("until", waits.until_us), ("next", waits.again_us)):
        if at_us is not None:
            said.append(texts.say(f"waits.{key}", lang, {"at": iso(at_us)}))
    return " ".join(said)


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
        reason = _reason(end.reason, lang)
        return texts.say("reason.back", lang, {"reason": reason}) if back else reason
    return texts.say(
        f"why.{RESULTS.get(result, 'other')}", lang, {"code": result, "detail": detail}
    )


def _words(values: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Values as people read them: keys of texts words, times written."""
    words = dict(values)
    if "state" in words:
        words["state"] = _optional("progress", str(words["state"]), lang)
    if "rollout_state" in words:
        words["rollout_state"] = _optional("rollout-state", str(words["rollout_state"]), lang)
    if words.get("reason"):
        reason = _reason(str(words["reason"]), lang)
        words["reason"] = texts.say("reason.behind", lang, {"reason": reason})
    if words.get("form"):
        words["form"] = texts.say(f"story.form-{words['form']}", lang)
    if words.get("result") is not None:
        words["result"] = result_text(words["result"], words.get("detail") or 0, lang)
    for name in ("last_report_us", "handed_us"):
        if name in words:
            words[name.removesuffix("_us")] = iso(words[name]) or texts.say("waits.never", lang)
    if "size" in words and words["size"] is None:
        words["size"] = "?"
    return words


def _reason(key: str, lang: str) -> str:
    return _optional("reason", key, lang)


def _optional(table: str, key: str, lang: str) -> str:
    try:
        return texts.say(f"{table}.{key}", lang)
    except KeyError:  # of a newer fleet
        return key
