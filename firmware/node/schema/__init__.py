"""The configuration: which keys a role has, within which bounds. Pure: the fleet reads it too.

A rule is (type, least, most, default) for an integer and (type, longest, default) for a text, a
list or a map; a default of None means that the key may be absent. Each role's keys are in the
file of its name, `RULES`, with `check(values)` for what holds between keys.
"""

ROLES = ("gas-meter", "drainage", "lamppost", "gateway", "survey")
FIXED = ("node", "role", "modem", "pins", "board")  # what a board is stays with the board
NEEDED = FIXED[:4] + ("host", "port")

# Why a key is refused; the node's answer to a patch has one of these.
UNKNOWN, TYPE, BELOW, ABOVE, INVALID, MISSING, BOARDS = 20, 21, 22, 23, 24, 25, 26


class SchemaError(ValueError):
    """A key that is refused: `key`, and one of the codes above as `code`."""

    def __init__(self, key: str, code: int, text: str) -> None:
        super().__init__(text)
        self.key = key
        self.code = code


def rules(role: str) -> "dict[str, tuple]":  # type: ignore[type-arg]
    """Every key of a role with its rule; SchemaError when there is no such role."""
    known: "dict[str, tuple]" = _both(role)[0]  # type: ignore[type-arg]
    return known


def check(values: object) -> dict:  # type: ignore[type-arg]
    """`values` with defaults filled in; SchemaError names the first key that is out of bounds."""
    if not isinstance(values, dict):
        raise SchemaError("", TYPE, "configuration is not a map")
    known, also = _both(values.get("role"))
    for key in values:
        if key not in known:
            raise SchemaError(str(key), UNKNOWN, "unknown key %r" % (key,))
    result = {}
    for key in known:
        rule = known[key]
        if key in values:
            judge(key, rule, values[key])
            result[key] = values[key]
        elif rule[-1] is not None:
            result[key] = rule[-1]
        elif key in NEEDED:
            raise SchemaError(key, MISSING, "%s is missing" % key)
    for each in also:
        each(result)
    return result


def parted(values: dict) -> list:  # type: ignore[type-arg]
    """Checked `values` as [keys of every role, keys of this one]."""
    from . import common

    both: list = [{}, {}]  # type: ignore[type-arg]
    for key, value in values.items():
        both[key not in common.RULES][key] = value
    return both


def judge(key: str, rule: tuple, value) -> None:  # type: ignore[type-arg, no-untyped-def]
    """SchemaError when `value` is not what `rule` allows."""
    if not isinstance(value, rule[0]) or isinstance(value, bool):
        raise SchemaError(key, TYPE, "%s has the wrong type" % key)
    if rule[0] is int:
        if value < rule[1]:
            raise SchemaError(key, BELOW, "%s outside %d..%d" % (key, rule[1], rule[2]))
        if value > rule[2]:
            raise SchemaError(key, ABOVE, "%s outside %d..%d" % (key, rule[1], rule[2]))
    elif len(value) > rule[1]:
        raise SchemaError(key, ABOVE, "%s is longer than %d" % (key, rule[1]))


def _both(role: object) -> tuple:  # type: ignore[type-arg]
    # The rules of a role and the checks that hold between its keys.
    from . import common

    if role == "gas-meter":
        from .gas_meter import RULES, check
    elif role == "drainage":
        from .drainage import RULES, check
    elif role == "lamppost":
        from .lamppost import RULES, check
    elif role == "gateway":
        from .gateway import RULES, check
    elif role == "survey":
        from .survey import RULES, check
    else:
        raise SchemaError("role", INVALID, "unknown role %r" % (role,))
    known = dict(common.RULES)
    known.update(RULES)
    return known, (common.check, check)
