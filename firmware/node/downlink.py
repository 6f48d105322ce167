"""What a node does with the fleet's items. Loaded in the wakes that bring some.

Each number is handled once. A configuration or a key is stored whole before its number is noted:
a power cut in between has it stored once more, which changes nothing. What acts on the world is
noted first, and so done at most once.
"""

import esp32
from micropython import const

from node import config
from node.errors import ConfigError
from node.modules import forget
from node.wire import cbor, receipt

_STANDING = ("cfgn", "down", "refn")  # in NVS, in the order of the status keys from 13 on
_FORGED = const(2)  # wire/command.py
_MOST = const(1024)  # bytes of a configuration
# A P-256 key in a request or a certificate (RFC 5480) begins so, and takes _SPKI_BYTES.
_SPKI = (
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
)
_SPKI_BYTES = const(91)


class RefusedError(Exception):
    """The node does not do it; the fleet reads so in its status. `results`: why, for the fleet,
    as (result, detail) of wire/command.py or schema.
    """

    def __init__(self, text: str, results: "list[tuple[int, int]] | tuple[()]" = ()) -> None:
        super().__init__(text)
        self.results = results


def standing() -> "list[int]":
    """Numbers of items: whose configuration is in force, the highest handled, the last refused."""
    nvs = esp32.NVS(config.NAMESPACE)
    numbers = []
    for name in _STANDING:
        try:
            numbers.append(nvs.get_i32(name))
        except OSError:
            numbers.append(0)  # there was none yet
    return numbers


def begun() -> bool:
    """Whether a command had begun of which nothing was told yet (node.commands)."""
    try:
        return esp32.NVS(config.NAMESPACE).get_i32("cmd") != 0
    except OSError:
        return False


def handle(items: list, results: "list | None" = None, obey=None, node: str = "") -> bool:
    """Do what `items`, [number, kind, payload] and ascending, want; whether the configuration is
    another now. ConfigError when NVS does not take it: then the fleet will give them again.

    `results` gets (number, result, detail) of what the fleet is told beyond the status.
    `obey(number, payload, begin)` does a command, calls `begin` before, and returns whether it
    was refused; without it there are none. `node` is the node's id: without it there are no
    updates.
    """
    nvs = esp32.NVS(config.NAMESPACE)
    changed = False
    for number, kind, payload in items:
        if number <= standing()[1]:
            continue
        try:
            if kind == receipt.COMMAND and obey:
                _command(nvs, number, payload, obey)
            elif kind == receipt.UPDATE and node and results is not None:
                _update(nvs, number, payload, node, results)
            else:
                changed = _item(nvs, number, kind, payload, results) or changed
        except OSError as e:
            raise ConfigError("NVS does not keep item %d: %s" % (number, e))
    return changed


def _command(nvs, number: int, payload, obey) -> None:
    # Its number is noted before it is begun, so that whatever becomes of it, it is not begun
    # twice. `cmd` before that: where power fails in here, commands.py tells so. What is forged
    # moves no counter.
    def begin() -> None:
        _note(nvs, "cmd", number)
        _note(nvs, "down", number)

    if obey(number, payload if isinstance(payload, bytes) else b"", begin):
        _note(nvs, "refn", number)


def _update(nvs, number: int, payload, node: str, results: list) -> None:
    # What is forged moves no counter here either; and a job is kept whole before its number is.
    from node.update import job

    if job.take(nvs, payload if isinstance(payload, bytes) else b"", number, node, results):
        _note(nvs, "down", number)
    else:
        results.append((number, _FORGED, 0))


def _item(nvs, number: int, kind: int, payload, results: "list | None") -> bool:
    handler, acts = _HANDLERS.get(kind, (_refuse, False))
    if acts:
        _note(nvs, "down", number)
    try:
        if not isinstance(payload, bytes):
            raise RefusedError("it is too large to be fetched")
        handler(nvs, payload, number)
        if kind == receipt.CONFIG:
            _note(nvs, "cfgn", number)
    except RefusedError as e:
        _note(nvs, "refn", number)
        if results is not None:
            results.extend([(number, result, detail) for result, detail in e.results])
    if not acts:
        _note(nvs, "down", number)
    return standing()[0] == number


def _note(nvs, name: str, number: int) -> None:
    nvs.set_i32(name, number)
    nvs.commit()


def _refuse(_nvs, _payload: bytes, _number: int) -> None:
    raise RefusedError("a kind that this node does not know")


def _decoded(raw: bytes) -> object:
    try:
        return cbor.decode(raw)
    except cbor.CborError as e:
        raise RefusedError("damaged: %s" % e)


def _configure(nvs, payload: bytes, number: int) -> None:
    from node import configure

    wrong = configure.patch(nvs, payload, number)
    forget("node.configure node.schema")
    if wrong:
        raise RefusedError("the configuration", wrong)


def _take_key(nvs, payload: bytes, _number: int) -> None:
    # One blob, so that there is never half of a key. Its sequence has a name of its own.
    if not config.is_key(_decoded(payload)):
        raise RefusedError("no key")
    nvs.set_blob("oscore", payload)
    nvs.commit()


def _take_certificate(nvs, payload: bytes, _number: int) -> None:
    # For the spare key. The pair in one blob is the commit point: from there on it is in force,
    # and what follows only brings it to its usual place; a power cut has that done once more.
    given = _decoded(payload)
    if not isinstance(given, list) or not given or not isinstance(given[0], bytes):
        raise RefusedError("no certificate")
    cert = given[0]
    buffer = bytearray(_MOST)
    held = config.pair(nvs, buffer)
    if held is None:
        if _get(nvs, "cert", buffer) == cert:
            return  # the power failed when all but its number was noted
        key, csr = _get(nvs, "key2", buffer), _get(nvs, "csr2", buffer)
        at = csr.find(_SPKI)
        if not key or at < 0:
            raise RefusedError("there is no spare key")
        if csr[at : at + _SPKI_BYTES] not in cert:
            raise RefusedError("a certificate of another key")
        held = [key, cert]
        raw = cbor.encode(held)
        if len(raw) > _MOST:
            raise RefusedError("a certificate of %d bytes" % len(cert))
        nvs.set_blob("pair", raw)
        nvs.commit()
    elif held[1] != cert:
        raise RefusedError("another certificate is being taken")
    nvs.set_blob("key", held[0])
    nvs.set_blob("cert", held[1])
    nvs.commit()
    for name in ("key2", "csr2", "pair"):
        try:
            nvs.erase_key(name)
        except OSError:
            pass  # it went before the power failed
        nvs.commit()


def _get(nvs, name: str, buffer: bytearray) -> bytes:
    # b"" where there is none.
    try:
        return bytes(memoryview(buffer)[: nvs.get_blob(name, buffer)])
    except OSError:
        return b""


# By kind: a function of NVS, the payload and its number, which may raise RefusedError; and whether
# it acts on the world, so that doing it twice is worse than not at all.
_HANDLERS = {
    receipt.CONFIG: (_configure, False),
    receipt.KEY: (_take_key, False),
    receipt.CERTIFICATE: (_take_certificate, False),
}
