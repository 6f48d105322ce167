"""What a technician should do, from what a node told: the plain words before the numbers."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

FATAL, WARNING, GOOD = "fatal", "warning", "good"

# EMM causes, 3GPP TS 24.301 9.9.3.9.
_SIM_LOCKED = (5, 6)  # IMEI not accepted, illegal ME: the operator bound the card to another one
_SUBSCRIPTION = (3, 7, 8)
_NO_ROAMING = (11, 12, 13, 15)
_WEAK_DBM, _LOST_DBM = -115, -130  # RSRP: from ECL1 on, and where NB-IoT ends (TS 36.133)
_RESETS = {3: "reset.watchdog"}  # machine.reset_cause()
_FULL = 2000  # records in a journal


class Verdict(NamedTuple):
    """`code` is a key of the text catalogue, `values` what its text names."""

    level: str
    code: str
    values: Mapping[str, Any] = {}


def judge(told: Mapping[str, Any]) -> list[Verdict]:
    """The worst first. `told` has facts, and radio and contact where they were asked for."""
    found = [
        *_of_node(told["facts"]),
        *_of_radio(told.get("radio") or {}),
        *_of_contact(told.get("contact") or {}, told.get("radio") or {}),
    ]
    order = (FATAL, WARNING, GOOD)
    return sorted(found, key=lambda v: order.index(v.level)) or [Verdict(GOOD, "node.well")]


def _of_node(facts: Mapping[str, Any]) -> Iterator[Verdict]:
    if "error" in facts.get("slot", {}):
        yield Verdict(FATAL, "slot.bad", {"reason": facts["slot"]["error"]})
    held = facts.get("credentials", {})
    if not held.get("cert") and held.get("vcert"):
        yield Verdict(WARNING, "identity.voucher")
    elif "error" in facts.get("config", {}):
        yield Verdict(FATAL, "config.bad", {"reason": facts["config"]["error"]})
    if facts.get("reset_cause") in _RESETS:
        yield Verdict(WARNING, _RESETS[facts["reset_cause"]])
    journal = facts.get("journal", {})
    if "error" in journal:
        yield Verdict(FATAL, "journal.bad", {"reason": journal["error"]})
    elif journal.get("depth", 0) >= _FULL:
        yield Verdict(WARNING, "journal.full", {"depth": journal["depth"]})
    if journal.get("dropped"):
        yield Verdict(WARNING, "journal.dropped", {"count": journal["dropped"]})


def _of_radio(radio: Mapping[str, Any]) -> Iterator[Verdict]:
    identity = radio.get("identity") or {}
    names = {"iccid": identity.get("iccid") or "?", "imei": identity.get("imei") or "?"}
    if radio.get("failed"):
        yield Verdict(FATAL, "modem.mute", {"reason": radio["failed"]["error"]})
        return
    if radio.get("sim"):
        yield Verdict(FATAL, f"sim.{radio['sim']}", names)
        return
    attach = radio.get("attach") or {}
    if attach.get("error") == "AttachRefused":
        yield Verdict(FATAL, _refused(attach["cause"]), {**names, "cause": attach["cause"]})
    elif attach.get("error"):
        signal = (radio.get("signal") or {}).get("rsrp_dbm")
        code = "network.none" if signal is None or signal < _LOST_DBM else "network.silent"
        yield Verdict(FATAL, code, {"rsrp": "?" if signal is None else signal})
    else:
        yield from _of_signal(radio.get("signal") or {})


def _refused(cause: int) -> str:
    if cause in _SIM_LOCKED:
        return "sim.locked"
    if cause in _SUBSCRIPTION:
        return "sim.subscription"
    return "network.roaming" if cause in _NO_ROAMING else "network.refused"


def _of_signal(signal: Mapping[str, Any]) -> Iterator[Verdict]:
    rsrp, ecl = signal.get("rsrp_dbm"), signal.get("ecl")
    if ecl == 2 or (rsrp is not None and rsrp < _LOST_DBM + 5):
        yield Verdict(WARNING, "signal.deep", {"rsrp": rsrp, "ecl": ecl})
    elif ecl == 1 or (rsrp is not None and rsrp < _WEAK_DBM):
        yield Verdict(WARNING, "signal.weak", {"rsrp": rsrp, "ecl": ecl})


def _of_contact(contact: Mapping[str, Any], radio: Mapping[str, Any]) -> Iterator[Verdict]:
    if not contact:
        return
    if "error" not in contact:
        yield Verdict(GOOD, "contact.done", {"delivered": contact["depth_before"]})
    elif not (radio.get("attach") or {}).get("error"):
        # Errors of firmware/node/errors.py that come behind the attach.
        code = {16: "fleet.unreachable", 17: "fleet.tls", 18: "fleet.refused", 19: "fleet.silent"}
        where = code.get(contact["error"], "contact.failed")
        yield Verdict(FATAL, where, {"error": contact["error"], "cause": contact["cause"]})
