"""The modem families, by the name that configuration uses; only the one in use is imported."""

from node.errors import ConfigError

# name: class, in the module of that name
FAMILIES = {"bc660k": "Bc660k", "ec200": "Ec200"}


def open_modem(name: str, uart, pins=None):
    """The driver for `name` on `uart` (see Modem); ConfigError for a family that is not there."""
    if name not in FAMILIES:
        raise ConfigError("modem %r: this node knows %s" % (name, ", ".join(sorted(FAMILIES))))
    path = "node.link.modems." + name
    module = __import__(path, None, None, (FAMILIES[name],))
    return getattr(module, FAMILIES[name])(uart, pins)
