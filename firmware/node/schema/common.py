"""Keys of every role."""

from . import BELOW, INVALID, SchemaError

RULES: "dict[str, tuple]" = {  # type: ignore[type-arg]
    "node": (str, 10, None),
    "role": (str, 16, None),
    "modem": (str, 16, None),
    "pins": (dict, 32, None),
    "board": (str, 32, ""),  # a name of hw/boards: a release for another one is refused
    "host": (str, 253, None),
    "port": (int, 1, 65535, None),
    "apn": (str, 63, ""),
    "report_s": (int, 60, 604800, 21600),
    "report_records": (int, 1, 1000, 24),
    "awake_s": (int, 30, 600, 300),
    "attach_s": (int, 20, 300, 180),
    "tau_s": (int, 0, 35712000, None),  # T3412 and T3324 of the PSM to ask for; none or 0: do not
    "active_s": (int, 0, 11160, None),  # 60 when there is none
    "door": (str, 4, None),  # "mqtt" over TLS, or "coap" with OSCORE; none: mqtt
    "bearers": (list, 4, None),  # names of link/bearers.py, in this order; none: "modem"
    "ledger_s": (int, 0, 604800, 86400),  # how often the energy ledger is reported; 0: never
    "fota": (str, 200, None),  # host:port/path/ of the modem's firmware; none: it gets none
    "edrx_s": (int, 0, 10485, None),  # the eDRX cycle to ask for; none or 0: do not
    "updates": (
        int,
        1,
        65535,
        None,
    ),  # port of `host` where updates come by HTTPS; none: the door's
    "ntp": (str, 64, None),  # a time server, name or name:port, where the network tells no time
    "log_level": (int, 0, 3, None),  # of log.py; none: 1
}

CONTACT_S = 30  # of `awake_s`: 15 to shut a link down (cycle.py), the rest for an alarm at least


def check(values: dict) -> None:  # type: ignore[type-arg]
    """SchemaError where keys contradict each other."""
    door = values.get("door", "mqtt")
    if door not in ("mqtt", "coap"):
        raise SchemaError("door", INVALID, "unknown door %r" % door)
    for name in values.get("bearers", ()):
        if not isinstance(name, str) or len(name) > 16:
            raise SchemaError("bearers", INVALID, "bearers has the wrong type")
        if door == "coap" and name != "modem":
            raise SchemaError(
                "bearers", INVALID, "bearers: door coap goes by the modem's own sockets only"
            )


def check_awake(values: dict, busy_s: int) -> None:  # type: ignore[type-arg]
    """SchemaError unless `awake_s`, which the watchdog ends, leaves a contact its time beside
    `busy_s`, the longest time for which the role's devices may hold a wake up.
    """
    if values["awake_s"] < busy_s + CONTACT_S:
        text = "awake_s is below %d: the role's devices take %d" % (busy_s + CONTACT_S, busy_s)
        raise SchemaError("awake_s", BELOW, text)


def whole(value: object) -> bool:
    """Whether `value` is an integer and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)
