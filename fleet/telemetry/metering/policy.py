"""Limits of validation and estimation, by register: what is a spike, how long is too long."""

from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.tables import MeteringPolicy
from fleet.telemetry.operations import quantity_name


class Policy(NamedTuple):
    """What is used is in the register's scale (litres, 10 Wh), times in days.

    More in a day than `spike_times` the typical use, and than `spike_floor`, is a spike; where
    nothing is typical yet, more than `most_per_day`.
    """

    spike_times: int = 8
    spike_floor: int = 10_000
    most_per_day: int = 500_000
    zero_days: int = 30  # of no use at all: somebody should look
    missing_days: int = 3  # without a reading: somebody should look
    profile_days: int = 28  # whose mean is typical
    estimate_days: int = 90  # an estimate grows no longer
    replace_days: int = 60  # a late reading replaces what was put between two others


# By register; energy is in 10 Wh, heat in 100 Wh.
_DEFAULTS: Final = {
    1: Policy(),
    22: Policy(spike_floor=10_000, most_per_day=1_000_000),
    34: Policy(spike_floor=5_000),
    35: Policy(spike_floor=5_000, most_per_day=1_000_000),
}
REGISTERS: Final = tuple(_DEFAULTS)
_MOST: Final = {"spike_times": 1000, "spike_floor": 10**12, "most_per_day": 10**12}


def of(session: Session) -> dict[int, Policy]:
    """Each register's."""
    found = dict(_DEFAULTS)
    for row in session.scalars(select(MeteringPolicy)):
        found[row.register] = Policy(*(getattr(row, name) for name in Policy._fields))
    return found


def keep(session: Session, register: int, policy: Policy) -> None:
    """Give a register its own; MeteringError for one that makes no sense."""
    if register not in _DEFAULTS:
        known = ", ".join(quantity_name(code) for code in _DEFAULTS)
        raise MeteringError(f"{quantity_name(register)} is no register: {known}")
    for name, value in policy._asdict().items():
        if not 1 <= value <= _MOST.get(name, 1000):
            raise MeteringError(f"{name} {value}: 1 to {_MOST.get(name, 1000)}")
    session.merge(MeteringPolicy(register=register, **policy._asdict()))
    session.flush()
