"""What a node does with a command of its fleet: who said it, until when, and whose it is.

The number under which it came was noted before (downlink.py), so it is done at most once. Until
its result is in the journal, `cmd` in NVS has the number too: after a power cut it is told as
failed, and not begun again.
"""

import gc

import esp32
import machine
from micropython import const

from node import clock, config, fleetkey
from node.errors import JournalError
from node.modules import forget
from node.wire import command, uplink

_Q_ITEM = const(900)  # wire/quantity.py
_Q_RESULT = const(901)
_Q_DETAIL = const(902)
_Q_WAKES = const(118)
_Q_RESETS = const(122)
_Q_CRASH_HEAP = const(913)
_Q_CRASH_CAUSE = const(914)
_EVENT = const(1)  # store/journal.py
_SLACK_S = const(60)  # by which the network's clock may be behind the fleet's
_DAY = const(86400)  # a fleet that is further from its own time is wrong
_CUT = const(1)  # detail of FAILED: power was lost, or the watchdog bit, while it was done


class Commands:
    """`reboot` is set when the node is to be restarted once the wake is over."""

    def __init__(self, configuration: dict, state, journal, role) -> None:
        self._config = configuration
        self._state = state
        self._journal = journal
        self._role = role
        self.reboot = False

    def obey(self, number: int, payload: bytes, begin) -> int:
        """Judge the command that item `number` brought, do it, record what became of it. `begin`
        notes its number. Its result (wire/command.py); 0 too where it is not the fleet's.
        """
        nvs = esp32.NVS(config.NAMESPACE)
        told = self._open(nvs, number, payload)
        if told is None:
            # Not urgent: whoever can forge could else have the node make contact without end.
            self._record(number, command.FORGED, 0)
            return 0
        begin()
        result, detail = self._judge(*told)
        self._record(number, result, detail)
        _done(nvs)
        self._state.set("urgent", 2)  # whoever asked waits for it
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
            # Power may have failed when all but that was done: then the newest record tells it.
            body = self._journal().last_body
            if not body or not _tells(body, number):
                self._record(number, command.FAILED, _CUT)
            _done(nvs)
            self._state.set("urgent", 2)

    def _open(self, nvs, number: int, payload: bytes) -> "tuple | None":
        # (code, arguments, expiry) of what the fleet itself has signed for this node and number.
        try:
            code, arguments, identifier, expiry, mac = command.decode(payload)
        except uplink.ReportError:
            return None
        signed = command.signed(self._config["node"], number, code, arguments, identifier, expiry)
        return (code, arguments, expiry) if fleetkey.said(nvs, signed, mac) else None

    def _judge(self, code: int, arguments: list, expiry: int) -> "tuple[int, int]":
        from node import timekeeping

        timekeeping.passed(expiry - command.LONGEST_S)  # it was signed then, or later
        forget("node.timekeeping")
        now = clock.now()
        if not self._state.get("clock_sure"):
            return command.NO_CLOCK, 0
        if now > expiry:
            return command.EXPIRED, min(now - expiry, 0x7FFFFFFF)
        if expiry - now > command.LONGEST_S + _SLACK_S:
            return command.NO_CLOCK, min(expiry - now, 0x7FFFFFFF)  # the two clocks disagree
        try:
            if code == command.SET_TIME:
                return self._set_time(arguments, expiry)
            return self._do(code, arguments, now)
        except JournalError as e:
            return command.FAILED, e.code

    def _do(self, code: int, arguments: list, now: int) -> "tuple[int, int]":
        own = {
            command.REBOOT: self._reboot,
            command.LOG_LEVEL: self._log_level,
            command.DIAGNOSE: self._diagnose,
            command.RESEND: self._resend,
            command.LOG_PULL: self._log_pull,
        }.get(code)
        if own is not None:
            return own(arguments)
        if code > command.PASS:
            return command.NO_SUCH, 0
        if not hasattr(self._role, "command"):
            return command.NOT_MINE, 0
        return self._role.command(code, arguments, now)

    def _set_time(self, arguments: list, expiry: int) -> "tuple[int, int]":
        if len(arguments) != 1 or abs(arguments[0] - expiry) > _DAY:
            return command.BAD_ARGUMENTS, 0
        from node import timekeeping

        off = timekeeping.put(self._state, arguments[0])
        self._state.set("vch", 1)
        forget("node.timekeeping")
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

    def _record(self, number: int, result: int, detail: int) -> None:
        try:
            self._keep([(_Q_ITEM, number), (_Q_RESULT, result), (_Q_DETAIL, detail)])
        except JournalError as e:
            self._state.set("error", e.code)

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
    # Whether a record is this command's result, and no forger's.
    from node.wire import cbor

    flat = cbor.decode(body)
    if not isinstance(flat, list) or flat[2:4] != [_Q_ITEM, number]:
        return False
    return flat[4:6] != [_Q_RESULT, command.FORGED]
