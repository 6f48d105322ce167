"""Every table, so that Base.metadata is complete: for migrations alone."""

from fleet.alarms import tables as alarms
from fleet.clones import tables as clones
from fleet.control import command_tables as commands
from fleet.control import desired_tables as desired
from fleet.control import tables as control
from fleet.db.base import Base
from fleet.identity import tables as identity
from fleet.identity import token_tables as tokens
from fleet.legacy import tables as legacy
from fleet.migration import guards as ledger_guards
from fleet.migration import inventory_tables as inventory
from fleet.migration import ledger_tables as ledger
from fleet.migration import survey_tables as survey
from fleet.migration import swap_tables as swaps
from fleet.migration import tables as migration
from fleet.registry import health_tables as health
from fleet.registry import sub_tables as sub_devices
from fleet.registry import tables as registry
from fleet.releases import tables as releases
from fleet.rollouts import tables as rollouts
from fleet.telemetry import tables as telemetry
from fleet.updates import tables as updates
from fleet.uplink import tables as uplink

__all__ = [
    "Base",
    "alarms",
    "clones",
    "commands",
    "control",
    "desired",
    "health",
    "identity",
    "inventory",
    "ledger",
    "ledger_guards",
    "legacy",
    "migration",
    "registry",
    "releases",
    "rollouts",
    "sub_devices",
    "survey",
    "swaps",
    "telemetry",
    "tokens",
    "updates",
    "uplink",
]  # fmt: skip
