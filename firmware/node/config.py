"""What provisioning wrote to NVS: the configuration, checked, and the node's credentials."""

import binascii
import sys

import esp32
from micropython import const

from node.errors import ConfigError
from node.modules import forget, named
from node.wire import cbor

NAMESPACE = "kapok"
LONGEST = const(1024)  # bytes of a blob
_CHECKED = const(3072)  # with all defaults
_CLAIM_ID = const(11)


def _blob(nvs: esp32.NVS, key: str, buffer: bytearray) -> bytes:
    try:
        length = nvs.get_blob(key, buffer)
    except OSError:
        raise ConfigError("NVS has no %r: provision the node" % key)
    return bytes(memoryview(buffer)[:length])


def stored(nvs: esp32.NVS) -> bytes:
    """The configuration as it lies in NVS, strict CBOR; ConfigError when there is none."""
    return _blob(nvs, "cfg", bytearray(LONGEST))


def load() -> dict:
    """The configuration's keys that every role has, with their defaults. ConfigError when the
    node was not provisioned, or it is damaged.
    """
    return _named(_checked()[0])  # type: ignore[index]


def whole() -> dict:
    """As `load`, with the keys of the role: more than the heap has room for beside the link."""
    common, rest = _checked()
    common = _named(common)  # type: ignore[arg-type]
    common.update(rest)  # type: ignore[arg-type]
    return common


def _named(values: dict) -> dict:
    values = named(values)
    values["pins"] = named(values["pins"])
    return values


def _checked() -> list:
    # [keys of every role, keys of this one]. What was checked once by this slot's schema lies in
    # NVS: each wake checks no more than that it is of the same configuration and slot.
    nvs = esp32.NVS(NAMESPACE)
    raw = stored(nvs)
    tag = binascii.crc32(_slot(), binascii.crc32(raw))
    try:
        held = cbor.decode(_blob(nvs, "cfgx", bytearray(_CHECKED)))
        if held[0] == tag:  # type: ignore[index]
            return held[1:]  # type: ignore[index]
    except (ConfigError, cbor.CborError):
        pass  # the first boot with it
    checked = _check(raw)
    try:
        nvs.set_blob("cfgx", cbor.encode([tag] + checked))
        nvs.commit()
    except OSError:
        pass  # the next wake checks it again
    return checked


def _check(raw: bytes) -> list:
    # What this firmware does not know, or would not take, goes by its default: an update must not
    # make a node of a configuration that it had before.
    try:
        values = cbor.decode(raw)
    except cbor.CborError as e:
        raise ConfigError("configuration is damaged: %s" % e)
    if not isinstance(values, dict):
        raise ConfigError("configuration is not a map")
    from node import schema

    try:
        checked = schema.parted(_taken(schema, values))
    except schema.SchemaError as e:
        raise ConfigError(str(e))
    forget("node.schema")
    return checked


def _taken(schema, values: dict) -> dict:
    while True:
        try:
            return schema.check(values)
        except schema.SchemaError as e:
            if e.key in schema.NEEDED:
                raise
            if e.key not in values:
                refused = e
                break
            del values[e.key]
    # A default does not go with what was set: which of these it is, only trying tells. One alone,
    # else one after the other; those of the role first, since without the others there may be no
    # way to the fleet.
    common, own = schema.parted(values)
    for alone in (True, False):
        for key in list(own) + [key for key in common if key not in schema.NEEDED]:
            held = values.pop(key)
            try:
                return schema.check(values)
            except schema.SchemaError:
                if alone:
                    values[key] = held
    raise refused


def _slot() -> bytes:
    try:
        with open(sys.path[0] + "/digest", "rb") as file:
            return file.read(8)
    except OSError:
        return b""


def on_trial() -> bool:
    """Whether the configuration in force has still to reach the fleet (node.configure)."""
    try:
        esp32.NVS(NAMESPACE).get_i32("cfgt")
    except OSError:
        return False
    return True


def key_code(key: str) -> int:
    """How the node names a key to the fleet: the CRC-32 of its name."""
    return binascii.crc32(key.encode())


def voucher() -> "str | None":
    """The claim id under which a node without an identity asks for one; None: it has one."""
    buffer = bytearray(_CLAIM_ID)
    try:
        length = esp32.NVS(NAMESPACE).get_blob("vid", buffer)
    except OSError:
        return None
    return str(memoryview(buffer)[:length], "utf-8")


def credentials(key: str = "key", cert: str = "cert") -> dict:
    """DER bytes: private key, certificate, and the CA that signs the fleet's servers."""
    nvs = esp32.NVS(NAMESPACE)
    buffer = bytearray(LONGEST)
    held = pair(nvs, buffer) if key == "key" else None
    if held:
        return {"key": held[0], "cert": held[1], "ca": _blob(nvs, "ca", buffer)}
    names = {"key": key, "cert": cert, "ca": "ca"}
    return {name: _blob(nvs, names[name], buffer) for name in names}


def pair(nvs: esp32.NVS, buffer: bytearray) -> "list | None":
    """[key, certificate] while a change of certificate is half done (node.downlink): they are in
    force, whatever else there is. None: no change is.
    """
    try:
        length = nvs.get_blob("pair", buffer)
    except OSError:
        return None
    return cbor.decode(bytes(memoryview(buffer)[:length]))  # type: ignore[return-value]


def oscore(name: str = "oscore") -> list:
    """[kid, secret] of OSCORE: 3 and 16 bytes."""
    try:
        found = cbor.decode(_blob(esp32.NVS(NAMESPACE), name, bytearray(64)))
    except cbor.CborError as e:
        raise ConfigError("the OSCORE key is damaged: %s" % e)
    if not is_key(found):
        raise ConfigError("the OSCORE key is damaged")
    return found  # type: ignore[return-value]


def is_key(value: object) -> bool:
    """Whether `value` is [kid, secret], 3 and 16 bytes."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    for part, size in zip(value, (3, 16)):
        if not isinstance(part, bytes) or len(part) != size:
            return False
    return True
