"""The families that have a twin, by the name that the firmware's configuration uses."""

from hil.virtual.modem.bc660k import Bc660k
from hil.virtual.modem.ec200 import Ec200
from hil.virtual.modem.quectel import Quectel

FAMILIES: dict[str, type[Quectel]] = {family.table.name: family for family in (Bc660k, Ec200)}
