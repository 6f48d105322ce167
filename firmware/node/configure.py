"""A configuration by the air: merged, checked whole, and on trial until the node has reached the
fleet with it. Loaded in the wakes that bring a patch, and while one is on trial.

In NVS: `cfg` is in force from the next boot on, `cfgp` is [what it was before, its item's number,
the patch's number] while the new one is on trial, `cfgt` counts the trial's contacts that failed.
`cfgp` is written before `cfg` and erased last, so that a power cut at any point leaves a node with
one of the two, and a way back as long as there is no proof.
"""

import esp32
from micropython import const

from node import config
from node.errors import ConfigError
from node.wire import cbor

_TRIES = const(4)  # contacts that may fail: with their waits about a quarter of an hour


def patch(nvs, payload: bytes, number: int) -> "list[tuple[int, int]]":
    """Keep a merge patch, strict CBOR: a key's new value, or null for its default. In force, on
    trial, from the next boot on. What is wrong instead, as (result, detail) for each key.
    """
    before, after, wrong = merged(nvs, payload)
    if not wrong and after != before:
        _keep(nvs, before, after, number)
    return wrong


def merged(nvs, payload: bytes) -> "tuple[bytes, bytes, list[tuple[int, int]]]":
    """The configuration before a patch and after it, and what is wrong with it as for `patch`."""
    before = config.stored(nvs)
    try:
        wanted, values = cbor.decode(payload), cbor.decode(before)
    except cbor.CborError:
        wanted = values = None
    from node import schema

    if not isinstance(wanted, dict) or not isinstance(values, dict):
        return before, b"", [(schema.INVALID, 0)]
    wrong = _merge(schema, values, wanted)
    if wrong:
        return before, b"", [(code, config.key_code(key)) for key, code in wrong]
    raw = cbor.encode(values)
    if len(raw) > config.LONGEST:
        return before, b"", [(schema.ABOVE, 0)]
    return before, raw, []


def _merge(schema, values: dict, wanted: dict) -> "list[tuple[str, int]]":
    # Each key by itself first, so that one answer names all that are wrong.
    known = schema.rules(values.get("role"))
    wrong = []
    for key, value in wanted.items():
        if key in schema.FIXED:
            wrong.append((key, schema.BOARDS))
        elif key not in known:
            wrong.append((str(key), schema.UNKNOWN))
        elif value is None:
            values.pop(key, None)
        else:
            values[key] = value
            try:
                schema.judge(key, known[key], value)
            except schema.SchemaError as e:
                wrong.append((key, e.code))
    if wrong:
        return wrong
    try:
        schema.check(values)
        if "door" in wanted:  # a door without its key would shut the node out
            (config.oscore if values.get("door") == "coap" else config.credentials)()
        for name in values.get("bearers", ()):  # and so would one that nobody knows
            if name not in ("modem", "ppp"):
                return [("bearers", schema.INVALID)]
    except schema.SchemaError as e:
        return [(e.key, e.code)]
    except ConfigError:
        return [("door", schema.INVALID)]
    return []


def _keep(nvs, before: bytes, raw: bytes, number: int) -> None:
    held = _held(nvs)
    if held is not None and held[0] == raw:  # back to what was proved last: nothing to try
        nvs.set_blob("cfg", raw)
        nvs.commit()
        _end(nvs)
        return
    # A second patch on top of one that is on trial falls back to what was proved last.
    if held is None or held[0] == before:
        held = [before, _number(nvs, "cfgn"), number]
    else:
        held[2] = number
    nvs.set_blob("cfgp", cbor.encode(held))
    nvs.set_i32("cfgt", 0)
    nvs.commit()
    nvs.set_blob("cfg", raw)
    nvs.commit()


def failed() -> "int | None":
    """A contact failed. After the last one that the trial allows the configuration is again what
    it was; then the number of the patch that is given up. None where nothing was given up.
    """
    nvs = esp32.NVS(config.NAMESPACE)
    held = _held(nvs)
    if held is not None and config.stored(nvs) != held[0]:
        tries = _number(nvs, "cfgt") + 1
        nvs.set_i32("cfgt", tries)
        nvs.commit()
        if tries < _TRIES:
            return None
    return give_up()


def give_up() -> "int | None":
    """End the trial at once, as `failed` does after its last contact."""
    nvs = esp32.NVS(config.NAMESPACE)
    held = _held(nvs)
    if held is None:
        _end(nvs)
        return None
    if config.stored(nvs) != held[0]:
        nvs.set_blob("cfg", held[0])
        nvs.commit()
    given_up = None
    if _number(nvs, "down") >= held[2]:  # else the power failed before the trial began
        given_up = held[2]
        nvs.set_i32("cfgn", held[1])
        nvs.set_i32("refn", given_up)
        nvs.commit()
    _end(nvs)
    return given_up


def proved() -> None:
    """The fleet has answered under this configuration: the one before it goes."""
    _end(esp32.NVS(config.NAMESPACE))


def _end(nvs) -> None:
    for name in ("cfgp", "cfgt"):
        try:
            nvs.erase_key(name)
        except OSError:
            pass  # it went before the power failed
        nvs.commit()


def _held(nvs) -> "list | None":
    buffer = bytearray(config.LONGEST + 64)
    try:
        length = nvs.get_blob("cfgp", buffer)
        held = cbor.decode(bytes(memoryview(buffer)[:length]))
    except (OSError, cbor.CborError):
        return None
    return held if isinstance(held, list) and len(held) == 3 else None


def _number(nvs, name: str) -> int:
    try:
        return nvs.get_i32(name)
    except OSError:
        return 0
