"""What may befall a modem, drawn by a seed, and whether a report can be delivered all the same."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from hil.virtual.modem.air import AirOptions
from hil.virtual.modem.faults import LineFaults
from hil.virtual.modem.scenario import NBIOT, Scenario
from hil.virtual.modem.sim import SimOptions
from hil.virtual.modem.supply import SupplyOptions
from hil.virtual.modem.timeline import Event

# Coupling losses in dB within which a report gets through in its wake.
REACH_DB = {True: (110.0, 160.0), False: (95.0, 138.0)}
WITHOUT_CAUSES = ("sim7080",)  # its CEREG has no reject cause, nor has it CEER (AT manual)
WITHIN_S = 250.0  # a disturbance that ends so soon leaves the later wakes their chance


@dataclass(frozen=True)
class Case:
    """`reasons`: errors of which the last wake must end with one; empty: it is delivered.

    `cause`: that the error must carry, 0 for any. `pins`: wired between board and modem.
    """

    kind: str
    scenario: Scenario
    reasons: tuple[str, ...] = ()
    cause: int = 0
    pins: tuple[str, ...] = ()

    @property
    def deliverable(self) -> bool:
        """Whether the report must arrive."""
        return not self.reasons


Made = tuple[Scenario, tuple[str, ...], int, tuple[str, ...]]
Maker = Callable[[random.Random, Scenario], Made]


def make(family: str, technology: str, seed: int) -> Case:
    """The case of a seed: its kind, and everything else of it by chance."""
    rng = random.Random(f"{family} case {seed}")
    kind = sorted(KINDS)[seed % len(KINDS)]
    air = Scenario(
        name=kind,
        coupling_loss_db=rng.uniform(*REACH_DB[technology == NBIOT]),
        air=AirOptions(loss=rng.choice((0.0, 0.0, 0.02)), delay_s=rng.choice((0.0, 0.3))),
        line=LineFaults(split=rng.choice((None, 1, 7, 64)), merge_ms=rng.choice((0, 0, 30))),
        chatter=rng.uniform(0, 0.3),
    )
    scenario, reasons, cause, pins = KINDS[kind](rng, air)
    if family in WITHOUT_CAUSES and "AttachRefused" in reasons:
        cause = 0
    return Case(kind, scenario, reasons, cause, pins)


def _fine(scenario: Scenario, *pins: str) -> Made:
    return scenario, (), 0, pins


def _event(do: str, *on: str) -> Maker:
    """Something that happens once in the middle of a contact."""

    def made(rng: random.Random, air: Scenario) -> Made:
        at = Event(do, at_s=rng.uniform(0, 3), on=rng.choice(on or ("attach", "open", "send")))
        return _fine(replace(air, events=(at,)))

    return made


def _lasting(do: str) -> Maker:
    """Something that lasts for a while and goes away."""

    def made(rng: random.Random, air: Scenario) -> Made:
        for_s = rng.uniform(5, WITHIN_S)
        on = rng.choice(("power", "attach", "open", "send"))
        event = Event(do, at_s=rng.uniform(0, 30 if on == "power" else 2), on=on, for_s=for_s)
        return _fine(replace(air, events=(event,)))

    return made


def _lossy(rng: random.Random, air: Scenario) -> Made:
    return _fine(replace(air, air=AirOptions(loss=rng.uniform(0.05, 0.15))))


def _mute_for_ever(rng: random.Random, air: Scenario) -> Made:
    # On "attach" or "open" it strikes in a contact's middle, and all later wakes meet it.
    mute = Event("mute", on=rng.choice(("power", "attach", "open")))
    return replace(air, events=(mute,)), ("ModemMute",), 0, ()


def _hung(rng: random.Random, air: Scenario) -> Made:
    on = rng.choice(("power", "attach", "open", "send"))
    return _fine(replace(air, events=(Event("mute", rng.uniform(0, 3), on),)), "reset")


def _shut_down(rng: random.Random, air: Scenario) -> Made:
    on = rng.choice(("attach", "open", "send"))
    return _fine(replace(air, events=(Event("shut_down", rng.uniform(0, 3), on),)), "pwrkey")


def _sim(rng: random.Random, air: Scenario) -> Made:
    cause, options = rng.choice(
        (
            (10, SimOptions(present=False)),
            (11, SimOptions(pin="1234")),
        )
    )
    return replace(air, sim=options), ("AtError",), cause, ()


def _sim_locked(_: random.Random, air: Scenario) -> Made:
    return replace(air, sim=SimOptions(bound_imei="867997000000001")), ("AttachRefused",), 6, ()


def _refused(rng: random.Random, air: Scenario) -> Made:
    cause = rng.choice((3, 6, 7, 8, 11))
    return replace(air, refuse=cause), ("AttachRefused",), cause, ()


def _congested(rng: random.Random, air: Scenario) -> Made:
    causes = tuple(rng.choice((15, 22)) for _ in range(rng.randint(1, 3)))
    return _fine(replace(air, refuse_first=causes))


def _no_cell(_: random.Random, air: Scenario) -> Made:
    return replace(air, events=(Event("coverage_lost"),)), ("AttachTimeout",), 0, ()


def _plan_exhausted(_: random.Random, air: Scenario) -> Made:
    reasons = ("SocketError", "AtError", "AttachTimeout", "AttachRefused", "DeliverTimeout")
    return replace(air, sim=SimOptions(plan_bytes=0)), reasons, 0, ()


def _not_on_the_list(_: random.Random, air: Scenario) -> Made:
    sim = SimOptions(whitelist=("elsewhere.example",))
    return replace(air, sim=sim), ("SocketError", "DeliverTimeout"), 0, ()


def _weak_supply(_: random.Random, air: Scenario) -> Made:
    # Falls below the module's minimum whenever it transmits, and it starts anew each time.
    reasons = ("AttachTimeout", "ModemMute", "AtTimeout", "SocketError", "AtError")
    return replace(air, supply=SupplyOptions(ohms=50.0)), reasons, 0, ()


KINDS: dict[str, Maker] = {
    "brown-out": _event("brown_out"),
    "cell-change": _event("cell_change"),
    "congestion": _congested,
    "context-lost": _event("deactivate", "open", "send"),
    "detach": _event("detach"),
    "detach-long": _lasting("detach"),
    "dead-zone": _lasting("coverage_lost"),
    "hung-reset-pin": _hung,
    "lossy": _lossy,
    "mute-a-while": _lasting("mute"),
    "mute": _mute_for_ever,
    "no-cell": _no_cell,
    "plan-exhausted": _plan_exhausted,
    "psm-in-send": _event("sleep", "open", "send"),
    "reboot": _event("restart"),
    "refused": _refused,
    "shut-down": _shut_down,
    "sim": _sim,
    "sim-locked": _sim_locked,
    "weak-supply": _weak_supply,
    "whitelist": _not_on_the_list,
}
