"""One line of an inventory as values: what it says, and what of it cannot be understood."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from fleet.errors import Refusal
from fleet.migration import columns, numbers
from fleet.migration.sheets import LOST, Line
from fleet.registry import places
from fleet.registry.operations import ROLES
from fleet.rollouts import windows

BEARERS = ("2g", "3g", "cat1", "nb", "redcap")
KINDS = (*ROLES, "environment")
NEEDED = ("terminal", "asset", "kind", "area")
_ZONE = ZoneInfo("Asia/Shanghai")  # of times without one
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AREA = re.compile("[0-9]{2,12}")
_WHOLE = re.compile(r"([0-9]{1,15})(?:\.0+)?")
_INDEX = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?")
_CHOICES = {
    "power": ("battery", "solar", "mains"),
    "voice": ("yes", "no"),
    "sim_lock": ("bound", "free"),
    "site_state": ("in-use", "dead"),
}
_MOBILITY = {"static": "static", "mobile": "mobile", "no": "static", "yes": "mobile"}
_SIM_LOCK = {"yes": "bound", "no": "free", "bound": "bound", "free": "free"}
_WHOLES = {"bytes_day": 10**12, "reports_day": 100_000, "rate_kbit": 10**7}


@dataclass
class Entry:
    """`refused`: why the line cannot come in at all; `faults`: (code, detail) of what is left out.

    `values` are columns of LegacyTerminal.
    """

    line: Line
    number: str = ""
    asset: str = ""
    kind: str = ""
    site: str = ""
    area: str = ""
    area_name: str = ""
    imei: str = ""
    iccid: str = ""
    latitude_e7: int | None = None
    longitude_e7: int | None = None
    values: dict[str, object] = field(default_factory=dict)
    refused: tuple[str, str] | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Of all that the line says; empty columns and another order make no difference."""
        cells = sorted(self.line.cells.items())
        said = "\n".join(f"{name}={text}" for name, text in cells if text)
        return hashlib.sha256(said.encode()).hexdigest()


def read(line: Line) -> Entry:
    """Total: any line gives an entry, refused or with faults where it must be."""
    made = Entry(line)
    for name, shape, most in (("terminal", "number", 64), ("asset", "asset", 100)):
        text = line.get(name)
        if text.startswith(LOST):
            made.refused = (f"{name}-lost", f"{name}: a spreadsheet lost its last digits")
            return made
        if not text or len(text) > most or not text.isprintable():
            made.refused = (f"no-{name}", f"{name} {text[:24]!r}: 1 to {most} characters")
            return made
        setattr(made, shape, text)
    made.kind = columns.word(line.get("kind"))
    if made.kind not in KINDS:
        said = line.get("kind")[:24]
        made.refused = ("kind", f"kind {said!r}: one of {', '.join(KINDS)}")
        return made
    made.area = line.get("area")
    if not _AREA.fullmatch(made.area):
        made.refused = ("area", f"area {made.area[:24]!r}: a code of 2 to 12 digits")
        return made
    made.area_name = line.get("area_name")[:100]
    made.site = line.get("site")[:100] or made.asset
    _numbers(made)
    _position(made)
    _network(made)
    _duty(made)
    _register(made)
    return made


def _numbers(made: Entry) -> None:
    for name, read_ in (("imei", numbers.imei), ("iccid", numbers.iccid)):
        found = read_(made.line.get(name))
        setattr(made, name, found.text)
        if found.fault:
            made.faults.append((found.fault, found.detail))


def _position(made: Entry) -> None:
    latitude, longitude = made.line.get("latitude"), made.line.get("longitude")
    if not latitude and not longitude:
        return
    try:
        lat, lon = places.position(latitude, longitude)
    except Refusal as e:
        made.faults.append(("position", str(e)))
        return
    if (lat, lon) == (0, 0):
        made.faults.append(("position", "0, 0 is no position: leave it empty"))
        return
    hint = places.hint(lat, lon)
    if hint:
        made.faults.append(("position", hint))
        return
    made.latitude_e7, made.longitude_e7 = lat, lon


def _network(made: Entry) -> None:
    line, values = made.line, made.values
    values["model"] = line.get("model")[:64]
    values["protocol"] = columns.word(line.get("protocol"))[:16]
    values["address"] = line.get("address")[:40] or None
    values["msisdn"] = (
        line.get("msisdn") if re.fullmatch("[0-9]{5,15}", line.get("msisdn")) else ""
    )
    values["operator"] = columns.word(line.get("operator"))[:16]
    issuer = numbers.operator_of(made.iccid)
    if issuer and values["operator"] not in ("", issuer):
        why = f"the card {made.iccid} is of {issuer}, the line says {values['operator']}"
        made.faults.append(("operator", why))
    values["operator"] = issuer or values["operator"]
    for name in ("capable", "sim_bearers"):
        values[name] = _bearers(made, name)
    bearer = columns.word(line.get("bearer"))
    if bearer and bearer not in BEARERS:
        made.faults.append(("bearer", f"bearer {bearer[:24]!r}: one of {', '.join(BEARERS)}"))
        bearer = ""
    values["bearer"] = bearer
    kind = columns.word(line.get("sim_kind"))
    values["sim"] = kind if kind in ("plastic", "soldered", "esim") else ""


def _bearers(made: Entry, name: str) -> str:
    said = columns.words(made.line.get(name)).split()
    wrong = [each for each in said if each not in BEARERS]
    if wrong:
        made.faults.append((name, f"{name} {wrong[0][:24]!r}: of {', '.join(BEARERS)}"))
    return " ".join(each for each in BEARERS if each in said)


def _duty(made: Entry) -> None:
    line, values = made.line, made.values
    for name, choices in _CHOICES.items():
        said = columns.word(line.get(name))
        said = _SIM_LOCK.get(said, said) if name == "sim_lock" else said
        if said and said not in choices:
            made.faults.append((name, f"{name} {said[:24]!r}: one of {', '.join(choices)}"))
            said = ""
        values[name] = said
    said = columns.word(line.get("mobility"))
    if said and said not in _MOBILITY:
        made.faults.append(("mobility", f"mobility {said[:24]!r}: static or mobile"))
    values["mobility"] = _MOBILITY.get(said, "")
    for name, most in _WHOLES.items():
        values[name] = _whole(made, name, most)
    seconds = _whole(made, "latency_s", 10**8)
    ms = _whole(made, "latency_ms", 10**11)
    values["latency_ms"] = ms if seconds is None else seconds * 1000
    values["access"] = _access(made)


def _whole(made: Entry, name: str, most: int) -> int | None:
    text = made.line.get(name).replace(",", "")
    if not text:
        return None
    found = _WHOLE.fullmatch(text)
    if found is None or int(found[1]) > most:
        made.faults.append((name, f"{name} {text[:24]!r}: a whole number up to {most}"))
        return None
    return int(found[1])


def _access(made: Entry) -> str:
    text = made.line.get("access").lower()
    if not text:
        return ""
    try:
        windows.parse(text)
    except Refusal as e:
        made.faults.append(("access", str(e)[:200]))
        return ""
    return text[:40]


def _register(made: Entry) -> None:
    line, values = made.line, made.values
    values["unit"] = line.get("unit")[:8].replace("m³", "m3")
    decimals, digits = _whole(made, "decimals", 6), _whole(made, "digits", 12)
    values["decimals"], values["digits"] = decimals, digits
    text = line.get("index")
    values["first_index"] = ""
    if text:
        found = _INDEX.fullmatch(text)
        if found is None:
            made.faults.append(("index", f"index {text[:24]!r}: such as 1234.567"))
        elif digits is not None and len(found[1].lstrip("0")) > digits - (decimals or 0):
            made.faults.append(("index", f"index {text} has more places than {digits} digits"))
        elif decimals is not None and len((found[2] or "").rstrip("0")) > decimals:
            made.faults.append(("index", f"index {text} has more than {decimals} decimals"))
        else:
            values["first_index"] = text
    values["index_us"] = moment_us(made, "index_at")


def moment_us(made: Entry, name: str) -> int | None:
    """A time of a cell, us UTC; China's where it names no zone."""
    text = made.line.get(name)
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text.replace("/", "-"))
        when = when if when.tzinfo else when.replace(tzinfo=_ZONE)
        return (when - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        made.faults.append((name, f"{name} {text[:24]!r}: such as 2026-11-30 08:00"))
        return None


def day_of(text: str) -> int | None:
    """Days since 1970 of `2027-12-31` or `2027/12/31`; None for anything else."""
    try:
        return (date.fromisoformat(text[:10].replace("/", "-")) - date(1970, 1, 1)).days
    except ValueError:
        return None
