"""What can be set on a modem that runs: its air, network, SIM and the servers beyond, by names.

Dotted names are those of hil/scenarios; the others are shorter ways to say what tests want.
"""

from collections.abc import Callable
from dataclasses import replace
from math import log10
from typing import TYPE_CHECKING, Any

from fleet.errors import Refusal
from hil.virtual.modem import cat1, nbiot
from hil.virtual.modem.cat1 import Cat1Link
from hil.virtual.modem.hosts import Outage
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.modem.scenario import EMM_CAUSES, NBIOT, QUALITIES
from hil.virtual.modem.sim import PIN_TRIES, SimOptions
from hil.virtual.modem.state import State

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

ECL_DB = (122.0, 149.0, 158.0)  # a coupling loss within each level (nbiot.LEVELS_DB)
LOSSES_DB = (60.0, 200.0)
SIMS = ("ready", "absent", "locked", "pin", "not-on-whitelist", "exhausted", "illegal")
PIN = "1234"
TIME_OFF_MOST_S = 10 * 366 * 86_400
ILLEGAL_UE = 3  # EMM cause


class KnobError(Refusal, ValueError):
    """There is no such thing to set, or not to that; the text is one line."""


class Knobs:
    """Of one modem; `set` checks all before it changes anything."""

    def __init__(self, modem: "ModemTwin") -> None:
        self._modem = modem
        self._technology = modem.power.technology
        self._knobs: dict[str, Callable[[str, Any], Callable[[], None]]] = {
            "rsrp": self._rsrp,
            "snr": self._snr,
            "ecl": self._ecl,
            "radio.coupling_loss_db": self._coupling_loss,
            "radio.quality": self._quality,
            "radio.loss": self._air_number("loss", 1, 1),
            "radio.delay_ms": self._air_number("delay_s", 60_000, 1 / 1000),
            "radio.inactivity_s": self._air_number("inactivity_s", 3600, 1),
            "udp.duplicate": self._air_number("duplicate", 1, 1),
            "udp.reorder": self._air_number("reorder", 1, 1),
            "no-service": self._no_service,
            "network.refuse": self._refuse,
            "network.time": self._tells_time,
            "network.time_off_s": self._time_off,
            "sim": self._sim,
            "sim.present": self._sim_flag,
            "sim.pin": self._sim_pin,
            "sim.whitelist": self._whitelist,
            "sim.plan_bytes": self._plan,
            "psm.accept": self._grant("psm"),
            "edrx.accept": self._grant("edrx"),
            "mute": self._mute,
            "server": self._server,
        }

    def set(self, values: dict[str, Any]) -> None:
        """KnobError, and nothing is changed, where one of them cannot be."""
        acts = []
        for name, value in values.items():
            knob = self._knobs.get(name)
            if knob is None:
                raise KnobError(f"{name!r} is none of {', '.join(self._knobs)}")
            acts.append(knob(name, value))
        for act in acts:
            act()

    # -- the radio ------------------------------------------------------------------------------

    def _rsrp(self, name: str, value: Any) -> Callable[[], None]:
        if self._technology == NBIOT:
            reference_db = nbiot.STATION_DBM - 10 * log10(nbiot.TONES)
        else:
            reference_db = cat1.STATION_DBM - 10 * log10(cat1.CARRIERS)
        return self._link(name, reference_db - number(name, value, -170, -30))

    def _snr(self, name: str, value: Any) -> Callable[[], None]:
        wanted = number(name, value, -30, 30)
        low, high = LOSSES_DB
        for _ in range(20):  # it falls with the loss
            middle = (low + high) / 2
            if self._made(middle).signal.snr_db > wanted:
                low = middle
            else:
                high = middle
        return self._link(name, high)

    def _ecl(self, name: str, value: Any) -> Callable[[], None]:
        if self._technology != NBIOT:
            raise KnobError("only NB-IoT has coverage enhancement levels: set rsrp")
        if value not in (0, 1, 2) or isinstance(value, bool):
            raise KnobError(f"ecl cannot be {value!r}: 0, 1 or 2")
        return self._link(name, ECL_DB[value])

    def _coupling_loss(self, name: str, value: Any) -> Callable[[], None]:
        return self._link(name, number(name, value, *LOSSES_DB))

    def _quality(self, name: str, value: Any) -> Callable[[], None]:
        if value not in QUALITIES:
            raise KnobError(f"{name} cannot be {value!r}: {', '.join(QUALITIES)}")
        return self._link(name, QUALITIES[value][self._technology])

    def _link(self, name: str, loss_db: float) -> Callable[[], None]:
        low, high = LOSSES_DB
        if not low <= loss_db <= high:
            raise KnobError(
                f"{name}: that is a coupling loss of {loss_db:.0f} dB, not {low}..{high}"
            )

        def act() -> None:
            self._modem.link = self._made(loss_db)

        return act

    def _made(self, loss_db: float) -> NbIotLink | Cat1Link:
        return NbIotLink(loss_db) if self._technology == NBIOT else Cat1Link(loss_db)

    def _air_number(
        self, field: str, most: float, scale: float
    ) -> Callable[[str, Any], Callable[[], None]]:
        def knob(name: str, value: Any) -> Callable[[], None]:
            change: dict[str, Any] = {field: number(name, value, 0, most) * scale}

            def act() -> None:
                air = self._modem.air
                air.change(replace(air.options, **change))

            return act

        return knob

    # -- the network ----------------------------------------------------------------------------

    def _no_service(self, name: str, value: Any) -> Callable[[], None]:
        there = not flag(name, value)
        return lambda: self._modem.network.set_coverage(there)

    def _refuse(self, name: str, value: Any) -> Callable[[], None]:
        cause = value if value is None else int(number(name, value, *EMM_CAUSES))
        return lambda: self._modem.network.refuse(cause)

    def _tells_time(self, name: str, value: Any) -> Callable[[], None]:
        does = flag(name, value)
        return lambda: self._modem.network.tell_time(does)

    def _time_off(self, name: str, value: Any) -> Callable[[], None]:
        seconds = int(number(name, value, -TIME_OFF_MOST_S, TIME_OFF_MOST_S))

        def act() -> None:
            self._modem.time_off_s = seconds

        return act

    def _grant(self, field: str) -> Callable[[str, Any], Callable[[], None]]:
        def knob(name: str, value: Any) -> Callable[[], None]:
            change: dict[str, Any] = {field: flag(name, value)}
            saving = self._modem.saving
            return lambda: saving.change(replace(saving.grants, **change))

        return knob

    def _mute(self, name: str, value: Any) -> Callable[[], None]:
        mute = flag(name, value)

        def act() -> None:
            self._modem.mute = mute

        return act

    def _server(self, name: str, value: Any) -> Callable[[], None]:
        try:
            outage = Outage(value)
        except ValueError:
            known = ", ".join(outage.value for outage in Outage)
            raise KnobError(f"{name} cannot be {value!r}: {known}") from None
        return lambda: break_servers(self._modem, outage)

    # -- the SIM --------------------------------------------------------------------------------

    def _sim(self, name: str, value: Any) -> Callable[[], None]:
        if value not in SIMS:
            raise KnobError(f"{name} cannot be {value!r}: {', '.join(SIMS)}")
        tries = 0 if value == "locked" else PIN_TRIES
        options = SimOptions(
            present=value != "absent",
            pin=PIN if value in ("pin", "locked") else "",
            whitelist=() if value == "not-on-whitelist" else None,
            plan_bytes=0 if value == "exhausted" else None,
        )

        def act() -> None:
            self._modem.network.refuse(ILLEGAL_UE if value == "illegal" else None)
            put_sim(self._modem, options, tries)

        return act

    def _sim_flag(self, name: str, value: Any) -> Callable[[], None]:
        return self._put(present=flag(name, value))

    def _sim_pin(self, name: str, value: Any) -> Callable[[], None]:
        if not isinstance(value, str) or not (value == "" or value.isdigit()):
            raise KnobError(f"{name} cannot be {value!r}: digits, or an empty text for none")
        return self._put(pin=value)

    def _whitelist(self, name: str, value: Any) -> Callable[[], None]:
        if value is None:
            names = None
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            names = tuple(value)
        else:
            raise KnobError(f"{name} cannot be {value!r}: a list of host names, or null for all")

        def act() -> None:
            self._modem.bridge.hosts.let(names)

        return act

    def _plan(self, name: str, value: Any) -> Callable[[], None]:
        return self._put(
            plan_bytes=value if value is None else int(number(name, value, 0, 1 << 40))
        )

    def _put(self, **change: Any) -> Callable[[], None]:
        modem = self._modem
        return lambda: put_sim(modem, replace(modem.sim.options, **change), PIN_TRIES)


def put_sim(modem: "ModemTwin", options: SimOptions, tries: int) -> None:
    """Somebody changes the card, or the operator what it may: the modem looks anew."""
    modem.silence()
    modem.sim.put(options, tries)
    modem.bridge.hosts.let(options.whitelist)
    modem.family.on_registration()
    if modem.radio and modem.state not in (State.OFF, State.BOOTING, State.WRITING):
        modem.network.start()
    modem.account()


def break_servers(modem: "ModemTwin", outage: Outage) -> None:
    """From now on this is wrong with all of them."""
    modem.bridge.hosts.outage = outage
    modem.air.journeys.dark = outage is Outage.SILENT
    if outage in (Outage.REFUSE, Outage.CLOSE):
        modem.bridge.hang_up()
        if modem.ip is not None:
            modem.ip.servers_gone()


def number(name: str, value: Any, least: float, most: float) -> float:
    """A number of JSON within limits; KnobError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise KnobError(f"{name} cannot be {value!r}: a number from {least} to {most}")


def flag(name: str, value: Any) -> bool:
    """true or false; KnobError."""
    if isinstance(value, bool):
        return value
    raise KnobError(f"{name} cannot be {value!r}: true or false")
