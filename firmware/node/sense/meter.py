"""The meter of the node's own circuit, asked by its profile. Loaded for each reading."""

from node.errors import ConfigError
from node.modules import forget
from node.sense import subdevice
from node.sense.bus import Bus, BusTimeout


async def read(config: dict, state, again: bool) -> dict:
    """Quantity to value, empty when it does not answer; once where it was not `again` expected."""
    meter = config["meter"]
    bus = Bus(config["pins"])
    found = []
    try:
        profile = subdevice.profile(meter[0])
        baud = meter[2] if len(meter) > 2 else 0
        found = await subdevice.values(bus, profile, meter[1], baud, 0 if again else 1)
    except ConfigError as e:
        state.set("error", e.code)  # no such profile: to the fleet it is silent
    except (BusTimeout, ValueError):
        pass
    finally:
        bus.close()
        forget("node.sense.meter node.sense.subdevice node.sense.bus")
        forget("node.wire.modbus node.wire.dlt645 node.wire.cjt188")
    return dict(found)
