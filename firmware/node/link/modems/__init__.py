"""The modem families, by the name that configuration uses; only the one in use is imported."""

from node.errors import ConfigError

# Each module has its class under the name DRIVER as well.
FAMILIES = {
    "a7670": "node.link.modems.a7670",
    "bc660k": "node.link.modems.bc660k",
    "bc95": "node.link.modems.bc95",
    "ec200": "node.link.modems.ec200",
    "sim7080": "node.link.modems.sim7080",
}


def open_modem(name: str, uart, pins=None):
    """The driver for `name` on `uart` (see Modem); ConfigError for a family that is not there."""
    if name not in FAMILIES:
        raise ConfigError("modem %r: this node knows %s" % (name, ", ".join(sorted(FAMILIES))))
    module = __import__(FAMILIES[name], None, None, ("DRIVER",))
    return module.DRIVER(uart, pins)
