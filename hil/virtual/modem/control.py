"""What may be asked of a modem twin while it runs, on a bench or alone: `set`, `event`, `log`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hil.virtual.modem.knobs import KnobError, Knobs, number
from hil.virtual.modem.scenario import DAY_S, EMM_CAUSES
from hil.virtual.modem.tape import Tape
from hil.virtual.modem.timeline import ACTIONS, Event

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

ALIASES = {"reboot": "restart", "no-service": "coverage_lost", "sim-absent": "sim_removed"}
LOG_MOST = 500  # lines of one answer


class ModemControl:
    """`answer` takes an object with `set`, `event` or `log`; without one it tells the state."""

    def __init__(self, modem: "ModemTwin", tape: Tape) -> None:
        self._modem = modem
        self._tape = tape
        self._knobs: Knobs | None = None

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do it; KnobError where it cannot be done."""
        if "set" in asked:
            values = asked["set"]
            if not isinstance(values, dict):
                raise KnobError('what is to be set stands in "set", an object')
            if self._knobs is None:
                self._knobs = Knobs(self._modem)
            self._knobs.set(values)
            return self.state()
        if "event" in asked:
            self._modem.timeline.happen(_event(asked))
            return self.state()
        if "log" in asked:
            return self._log(asked["log"])
        return self.state()

    def state(self) -> dict[str, Any]:
        """What the modem does, and its counters."""
        modem, network = self._modem, self._modem.network
        signal = modem.signal()
        return {
            "state": modem.state.name.lower(),
            "stat": network.stat.name.lower(),
            "cause": network.cause,
            "signal": None if signal is None else asdict(signal),
            "sim": modem.sim.state,
            "psm": modem.saving.in_psm,
            "psm_wish": modem.saving.psm_wish,
            "psm_granted": modem.saving.psm_granted,
            "edrx_granted": modem.saving.edrx_granted,
            "server": modem.bridge.hosts.outage.value,
            "counters": {
                "commands": modem.commands,
                "boots": modem.boots,
                "sleeps": modem.sleeps,
                "attaches": network.attaches,
                "accesses": modem.air.accesses,
                "brown_outs": modem.brown_outs,
                "up_bytes": modem.up_bytes,
                "down_bytes": modem.down_bytes,
                "lost": modem.air.lost,
                "lines": self._tape.end,
            },
        }

    def _log(self, since: Any) -> dict[str, Any]:
        first = int(number("log", since, 0, 1 << 53))
        lines = self._tape.since(first, LOG_MOST)
        after = lines[-1].number + 1 if lines else max(first, self._tape.end)
        return {
            "lines": [list(line) for line in lines],
            "next": after,
            "more": after < self._tape.end,
            "counters": self.state()["counters"],
        }


def _event(asked: dict[str, Any]) -> Event:
    name = str(asked["event"])
    do = ALIASES.get(name, name.replace("-", "_"))
    if do not in ACTIONS:
        raise KnobError(f"event {name!r} is none of {', '.join([*ACTIONS, *ALIASES])}")
    for_s, cause = asked.get("for_s"), asked.get("cause")
    return Event(
        do=do,
        for_s=None if for_s is None else number("for_s", for_s, 0, 366 * DAY_S),
        cause=None if cause is None else int(number("cause", cause, *EMM_CAUSES)),
    )
