"""The families that have a twin, by the name that the firmware's configuration uses."""

from hil.virtual.modem.a7670 import A7670
from hil.virtual.modem.bc95 import Bc95
from hil.virtual.modem.bc660k import Bc660k
from hil.virtual.modem.ec200 import Ec200
from hil.virtual.modem.family import Family
from hil.virtual.modem.sim7080 import Sim7080

FAMILIES: dict[str, type[Family]] = {
    family.table.name: family for family in (Bc660k, Bc95, Ec200, Sim7080, A7670)
}
