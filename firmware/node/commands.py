"""What a node does with a command of its fleet: who said it, until when, and whose it is.

The number under which it came was noted before (downlink.py), so it is done at most once. Until
its result is in the journal, `cmd` in NVS has the number too: after a power cut it is told as
failed, and not begun again.
"""

import gc

import esp32
import machine
from micropython import const

from node import clock, config
from node.errors import JournalError
from node.wire import command, uplink

_Q_ITEM = const(900)  # wire/quantity.py
_Q_RESULT = const(901)
_Q_DETAIL = const(902)
_Q_WAKES = const(118)
_Q_RESETS = const(122)
_Q_CRASH_HEAP = const(913)
_Q_CRASH_CAUSE = const(914)
_EVENT = const(1)  # store/journal.py
_KEY = const(32)  # bytes
_CUT = const(1)  # detail of FAILED: power was lost, or the watchdog bit, while it was done


class Commands:
    """`reboot` is set when the node is to be restarted once the wake is over."""

    def __init__(self, configuration: dict, state, journal, role) -> None:
        self._config = configuration
        self._state = state
        self._journal = journal
        self._role = role
        self.reboot = False

    def obey(self, number: int, payload: bytes) -> int:
        """Judge the command that item `number` brought, do it, record what became of it; its
        result (wire/command.py).
        """
        nvs = esp32.NVS(config.NAMESPACE)
        result, detail = self._judge(nvs, number, payload)
        self._record(nvs, number, result, detail)
        return result

    def recover(self) -> None:
        """Tell of a command that a power cut or the watchdog ended midway."""
        nvs = esp32.NVS(config.NAMESPACE)
        number = _number(nvs, "cmd")
        if not number:
            return
        if number > _number(nvs, "down"):
            _done(nvs)  # it was not begun: the fleet gives it again
        else:
            self._record(nvs, number, command.FAILED, _CUT)

    def _judge(self, nvs, number: int, payload: bytes) -> "tuple[int, int]":
        try:
            code, arguments, identifier, expiry, mac = command.decode(payload)
        except uplink.ReportError:
            return command.FORGED, 0
        signed = command.signed(self._config["node"], number, code, arguments, identifier, expiry)
        if not _same(_mac(nvs, signed), mac):
            return command.FORGED, 0
        now = clock.now()
        if not self._state.get("clock_sure"):
            return command.NO_CLOCK, 0
        if now > expiry:
            return command.EXPIRED, min(now - expiry, 0x7FFFFFFF)
        if expiry - now > command.LONGEST_S:
            return command.NO_CLOCK, min(expiry - now, 0x7FFFFFFF)  # the two clocks disagree
        try:
            return self._do(code, arguments, now)
        except JournalError as e:
            return command.FAILED, e.code

    def _do(self, code: int, arguments: list, now: int) -> "tuple[int, int]":
        own = {
            command.SET_TIME: self._set_time,
            command.REBOOT: self._reboot,
            command.LOG_LEVEL: self._log_level,
            command.DIAGNOSE: self._diagnose,
            command.RESEND: self._resend,
            command.LOG_PULL: self._log_pull,
        }.get(code)
        if own is not None:
            return own(arguments)
        if code > command.LOG_PULL:
            return command.NO_SUCH, 0
        if not hasattr(self._role, "command"):
            return command.NOT_MINE, 0
        return self._role.command(code, arguments, now)

    def _set_time(self, arguments: list) -> "tuple[int, int]":
        if len(arguments) != 1 or arguments[0] < clock.FLOOR:
            return command.BAD_ARGUMENTS, 0
        off = arguments[0] - clock.now()
        clock.set(arguments[0])
        return command.DONE, max(-0x7FFFFFFF, min(off, 0x7FFFFFFF))

    def _reboot(self, arguments: list) -> "tuple[int, int]":
        if arguments:
            return command.BAD_ARGUMENTS, 0
        self.reboot = True
        return command.DONE, 0

    def _resend(self, arguments: list) -> "tuple[int, int]":
        if len(arguments) != 2 or not 0 <= arguments[0] <= arguments[1]:
            return command.BAD_ARGUMENTS, 0
        journal = self._journal()
        if not hasattr(journal, "resend"):
            return command.NO_SUCH, 0
        return command.DONE, journal.resend(arguments[0], arguments[1])

    def _diagnose(self, arguments: list) -> "tuple[int, int]":
        if arguments:
            return command.BAD_ARGUMENTS, 0
        gc.collect()
        values = [
            (_Q_WAKES, self._state.get("wakes", 0)),
            (_Q_RESETS, self._state.get("resets", 0)),
            (_Q_CRASH_HEAP, gc.mem_free()),
            (_Q_CRASH_CAUSE, machine.reset_cause()),
        ]
        self._keep(values)
        self._state.set("told", None)  # the next report has the whole status
        return command.DONE, 0

    def _log_level(self, arguments: list) -> "tuple[int, int]":
        from node import log

        if len(arguments) != 1 or not log.set_level(self._state, arguments[0]):
            return command.BAD_ARGUMENTS, 0
        return command.DONE, arguments[0]

    def _log_pull(self, arguments: list) -> "tuple[int, int]":
        from node import log

        if arguments:
            return command.BAD_ARGUMENTS, 0
        return command.DONE, log.pull(self._state, self._journal())

    def _record(self, nvs, number: int, result: int, detail: int) -> None:
        # The record, then that it is there. A cut in between would tell it twice: the newest
        # record shows that.
        body = self._journal().last_body
        values = [(_Q_ITEM, number), (_Q_RESULT, result), (_Q_DETAIL, detail)]
        if not body or not _tells(body, number):
            try:
                self._keep(values)
            except JournalError as e:
                self._state.set("error", e.code)
                return
        _done(nvs)
        self._state.set("urgent", 1)  # whoever asked waits for it

    def _keep(self, values: list) -> None:
        quality = uplink.GOOD if self._state.get("clock_sure") else uplink.ESTIMATED
        self._journal().append(uplink.encode_body(clock.now(), quality, values), _EVENT)


def _done(nvs) -> None:
    nvs.erase_key("cmd")
    nvs.commit()


def _number(nvs, name: str) -> int:
    try:
        return nvs.get_i32(name)
    except OSError:
        return 0


def _tells(body: bytes, number: int) -> bool:
    # Whether a record is this command's result.
    from node.wire import cbor

    flat = cbor.decode(body)
    return isinstance(flat, list) and flat[2:4] == [_Q_ITEM, number]


def _mac(nvs, data: bytes) -> bytes:
    from node.link.hkdf import hmac

    key = bytearray(_KEY)
    try:
        if nvs.get_blob("hmac", key) != _KEY:
            return b""
    except OSError:
        return b""  # a node without the key obeys nobody
    return hmac(bytes(key), data)[: command.MAC]


def _same(one: bytes, other: bytes) -> bool:
    # In a time that does not tell how much of it was right.
    different = len(one) ^ len(other)
    for a, b in zip(one, other):
        different |= a ^ b
    return not different
