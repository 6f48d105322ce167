"""The bounds of the configuration. Only a boot needs them: config.load forgets this module."""

from node.errors import ConfigError

ROLES = ("gas-meter", "drainage", "lamppost")

# key: (type, least, most) for integers, (type, longest) for texts.
_SCHEMA = {
    "node": (str, 10),
    "role": (str, 16),
    "modem": (str, 16),
    "apn": (str, 63),
    "host": (str, 253),
    "port": (int, 1, 65535),
    "sample_s": (int, 0, 86400),  # 0: only when the sensor wakes the node
    "report_s": (int, 60, 604800),
    "report_records": (int, 1, 1000),
    "awake_s": (int, 30, 600),
    "attach_s": (int, 20, 300),
    "tau_s": (int, 0, 35712000),  # T3412 and T3324 of the PSM to ask for; none or 0: do not ask
    "active_s": (int, 0, 11160),  # 60 when there is none
    "door": (str, 4),  # "mqtt" over TLS, or "coap" with OSCORE; none: mqtt
    "bearers": (list, 4),  # names of link/bearers.py, tried in this order; none: "modem"
    "pins": (dict, 16),
    "litres_per_pulse": (int, 1, 1000),
    "full_scale": (int, 1, 10000000),  # of the analogue sensor, in its quantity's integer unit
    "low_uv": (int, 0, 3300000),  # its output at 0, e.g. 4 mA over 150 ohm
    "high_uv": (int, 1, 3300000),  # and at full scale
    "lamp_plan": (list, 48),
}
# What few nodes have costs the others no heap.
_OPTIONAL = ("tau_s", "active_s", "door", "bearers")
_DEFAULTS = {
    "apn": "",
    "sample_s": 3600,
    "report_s": 21600,
    "report_records": 24,
    "awake_s": 300,
    "attach_s": 180,
    "litres_per_pulse": 10,
    "full_scale": 10000,
    "low_uv": 600000,
    "high_uv": 3000000,
    "lamp_plan": [],
}


def check(values: object) -> dict:
    """`values` with defaults filled in; ConfigError names the first key that is out of bounds."""
    if not isinstance(values, dict):
        raise ConfigError("configuration is not a map")
    result = dict(_DEFAULTS)
    result.update(values)
    for key, value in result.items():
        rule = _SCHEMA.get(key)
        if rule is None:
            raise ConfigError("unknown key %r" % (key,))
        if not isinstance(value, rule[0]) or isinstance(value, bool):
            raise ConfigError("%s has the wrong type" % key)
        if rule[0] is int:
            if not rule[1] <= value <= rule[2]:
                raise ConfigError("%s outside %d..%d" % (key, rule[1], rule[2]))
        elif len(value) > rule[1]:
            raise ConfigError("%s is longer than %d" % (key, rule[1]))
    for key in _SCHEMA:
        if key not in result and key not in _OPTIONAL:
            raise ConfigError("%s is missing" % key)
    door = result.get("door", "mqtt")
    if door not in ("mqtt", "coap"):
        raise ConfigError("unknown door %r" % door)
    for name in result.get("bearers", ()):
        if not isinstance(name, str) or len(name) > 16:
            raise ConfigError("bearers has the wrong type")
        if door == "coap" and name != "modem":
            raise ConfigError("bearers: door coap goes by the modem's own sockets only")
    _check_plan(result["lamp_plan"])
    if result["high_uv"] <= result["low_uv"]:
        raise ConfigError("high_uv is not above low_uv")
    if result["role"] not in ROLES:
        raise ConfigError("unknown role %r" % result["role"])
    return result


def _check_plan(plan: list) -> None:
    # Pairs of ascending seconds of the day and 0..1000 permille.
    last = -1
    if len(plan) % 2:
        raise ConfigError("lamp_plan takes second and permille pairs")
    for second, dim in zip(plan[::2], plan[1::2]):
        if not _is_whole(second) or not last < second < 86400:
            raise ConfigError("lamp_plan: seconds ascend within a day")
        if not _is_whole(dim) or not 0 <= dim <= 1000:
            raise ConfigError("lamp_plan: dim is 0..1000 permille")
        last = second


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
