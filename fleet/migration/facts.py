"""What is known of one terminal when its target is chosen, and how people are told of it."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from fleet.migration.inventory_tables import LegacyTerminal, TacModel
from fleet.migration.rules import NB, Rules
from fleet.migration.survey_tables import Coverage

COVERED, UNCOVERED, UNKNOWN = "covered", "none", "unknown"
_OF = {"NB-IoT": "nb", "Cat1": "cat1", "RedCap": "redcap"}
_EPOCH = date(1970, 1, 1)
_ASSUMABLE = ("power", "mobility", "voice", "bytes_day", "reports_day", "latency_ms")


class Subject(NamedTuple):
    """One terminal with all that the database has of it."""

    row: LegacyTerminal
    asset_id: int
    site_id: int
    kind: str
    area: str
    model: TacModel | None
    coverage: tuple[Coverage, ...]  # of NB-IoT at its site, by operator
    sunset_day: int | None  # of its bearer today


class Known(NamedTuple):
    """`facts`: for the rules; `assumed`: names of those that the inventory does not say."""

    facts: dict[str, Any]
    assumed: tuple[str, ...]
    coverage: Coverage | None


def of(subject: Subject, rules: Rules, today: int) -> Known:
    """The facts of a terminal. `today`: days since 1970."""
    row = subject.row
    said: dict[str, Any] = {name: getattr(row, name) for name in _ASSUMABLE}
    assumed = []
    for name, value in rules.assumed.get(subject.kind, {}).items():
        if name in said and said[name] in (None, ""):
            said[name] = value
            assumed.append(name.removesuffix("_ms"))
    best = _best(subject.coverage, row.operator)
    nb = UNKNOWN if best is None else COVERED if best.ecl is not None else UNCOVERED
    capable = subject.model.bearers if subject.model is not None else row.capable
    sunset = None if subject.sunset_day is None else subject.sunset_day - today
    return Known(
        {
            "kind": subject.kind, "area": subject.area, "model": row.model,
            "protocol": row.protocol, "operator": row.operator, "bearer": row.bearer,
            "power": said["power"], "mobility": said["mobility"], "voice": said["voice"],
            "bytes_day": said["bytes_day"], "reports_day": said["reports_day"],
            "latency": said["latency_ms"], "rate": row.rate_kbit, "nb": nb,
            "ecl": best.ecl if best else None, "rsrp": best.rsrp_dbm if best else None,
            "confidence": best.confidence if best else None,
            "capable": frozenset(capable.split()), "sim": row.sim, "sim_lock": row.sim_lock,
            "site_state": row.site_state, "sunset": sunset,
        },
        tuple(assumed), best,
    )  # fmt: skip


def for_path(known: Known, subject: Subject, target: str) -> dict[str, Any]:
    """The facts that a path is chosen by."""
    model = subject.model
    return {
        **known.facts,
        "target": target,
        "fits": _fits(_OF.get(target), known.facts["capable"]),
        "sim_fits": _sim_fits(known, subject, target),
        "module": model.module if model else "",
        "configured_by": model.configured_by if model else "",
    }


def _sim_fits(known: Known, subject: Subject, target: str) -> str:
    """Whether its card's plan has the target, and its operator the coverage that counted."""
    found = _fits(_OF.get(target), frozenset(subject.row.sim_bearers.split()))
    if target != NB or found != "yes" or known.coverage is None:
        return found
    own, other = subject.row.operator, known.coverage.operator
    if own == other:
        return found
    return "no" if own and other else UNKNOWN


def _fits(bearer: str | None, several: frozenset[str]) -> str:
    if bearer is None or not several:
        return UNKNOWN
    return "yes" if bearer in several else "no"


def _best(several: tuple[Coverage, ...], operator: str) -> Coverage | None:
    """Its own operator's; where that has none, another's: its card can be changed."""
    own = next((one for one in several if one.operator == operator), None)
    if own is not None and own.ecl is not None:
        return own
    others = [one for one in several if one.ecl is not None]
    best = min(others, key=lambda one: (one.ecl or 0, one.operator), default=None)
    return best or own or next(iter(several), None)


def wording(known: Known, subject: Subject, lang: str) -> dict[str, str]:
    """The {names} of a rule's `because`."""
    facts, zh = known.facts, lang == "zh"
    return {
        "reports": _reports(facts["reports_day"], zh),
        "bytes": _bytes(facts["bytes_day"]),
        "latency": _latency(facts["latency"], zh),
        "rate": _rate(facts["rate"]),
        "ecl": str(facts["ecl"]),
        "evidence": _evidence(known.coverage, subject.row.operator, zh),
        "until": _until(subject, zh),
        "power": _POWER[facts["power"] or ""][zh],
    }


_POWER = {
    "": ("power unknown", "供电未知"), "battery": ("battery", "电池"),
    "solar": ("solar", "太阳能"), "mains": ("mains", "市电"),
}  # fmt: skip


def _reports(count: int | None, zh: bool) -> str:
    if count is None:
        return "上报次数未知" if zh else "reports unknown"
    if zh:
        return f"每日上报 {count} 次"
    return f"{count} report{'s' if count != 1 else ''}/day"


def _bytes(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count} B" if count < 10_000 else f"{count // 1000} kB"


def _latency(ms: int | None, zh: bool) -> str:
    if ms is None:
        return "时延未知" if zh else "latency unknown"
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms // 1000
    for unit, word in ((86_400, "d"), (3600, "h")):
        if seconds % unit == 0:
            return f"{seconds // unit} {word}"
    return f"{seconds} s"


def _rate(kbit: int | None) -> str:
    if kbit is None:
        return "?"
    return f"{kbit} kbit/s" if kbit % 1000 else f"{kbit // 1000} Mbit/s"


def _evidence(found: Coverage | None, operator: str, zh: bool) -> str:
    if found is None:
        return "未勘测" if zh else "no survey"
    whose = f" ({found.operator})" if found.operator not in ("", operator) else ""
    sure = ""
    if found.confidence == "low":
        sure = "，可信度低" if zh else ", low confidence"
    one = found.samples == 1
    if found.by == "own":
        text = f"现场 {found.samples} 次测量" if zh else (
            f"{found.samples} reading{'' if one else 's'} at the site"
        )  # fmt: skip
    else:
        text = f"{found.radius_m} 米内 {found.samples} 个邻点" if zh else (
            f"{found.samples} neighbour{'' if one else 's'} within {found.radius_m} m"
        )  # fmt: skip
    return f"{text}{whose}{sure}"


def _until(subject: Subject, zh: bool) -> str:
    if subject.sunset_day is None:
        return "退网日期未知" if zh else "no sunset is known"
    when = (_EPOCH + timedelta(days=subject.sunset_day)).isoformat()
    return f"保留至 {when}" if zh else f"until {when}"


def assumed_words(assumed: Mapping[str, Any] | tuple[str, ...], lang: str) -> str:
    """The end of a line that rests on what nobody said."""
    if not assumed:
        return ""
    return f"；假定：{'，'.join(assumed)}" if lang == "zh" else f"; assumed: {', '.join(assumed)}"
