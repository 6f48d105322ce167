"""The replay for a driver whose order of commands is not that of the record."""

import re
from collections.abc import Sequence
from typing import Any

from hil.virtual.modem.replay import Replay
from hil.virtual.modem.transcript import Step

DATA_MOST = 1 << 16  # bytes
ERROR_US = 20_000
CTRL_Z = b"\x1a"
# 3GPP TS 27.005, 3.5.1: CR LF > blank. A URC may come between it and the data.
PROMPT = re.compile(rb"(?:^|[\r\n])>(?:[ \r\n]|$)")
ENDS_IN_PROMPT = re.compile(rb"(?:^|[\r\n])> *$")


class LenientReplay(Replay):
    """Every command that is recorded gets its recorded reply, in whatever order commands come.

    A command is looked for by its whole text. Where that is recorded several times, its replies
    come in turn and the last one repeats. Where it is not recorded, a command with arguments takes
    the turns of those with the same name (`AT+QIOPEN=`), and its recorded reply is sent as it
    stands, with nothing put in its place. A command that is not found either way gets ERROR.

    Data follow a reply with a prompt, and get the reply of the request below it where that is
    data. They are as long as the driver's command says, by the last argument that states the
    recorded data's length in the recorded command. Where no argument does, Ctrl-Z ends them if it
    ends the recorded ones, else they are as long as those. Behind a reply that ends in a prompt
    and has no data below it, the driver's last number is the length, and the answer is ERROR.

    Other arguments, other data and what is nowhere are departures; another order is none.
    """

    def __init__(self, steps: Sequence[Step], **options: Any) -> None:
        super().__init__(steps, **options)
        self._by_text: dict[bytes, list[int]] = {}
        self._by_name: dict[bytes, list[int]] = {}
        for index, step in enumerate(self.steps):
            if step.request is not None and not step.is_data:
                self._by_text.setdefault(step.request, []).append(index)
                if name := _name(step.request):
                    self._by_name.setdefault(name, []).append(index)
        self._asked: dict[int, bytes] = {}  # step -> what the driver wrote for it
        self._length: int | None = None  # of the awaited data; None: Ctrl-Z ends them
        self._data_of: int | None = None

    def _on_command(self, command: bytes, raw: bytes) -> None:
        if not command:
            self._depart(None, raw)  # a modem ignores a line without AT
            return
        found = self._by_text.get(command)
        if found is None:
            found = self._by_name.get(_name(command), [])
            index = self._turn(found)
            self._depart(index, raw)
        else:
            index = self._turn(found)
        if index is None:
            self._error()
        else:
            self._asked[index] = command
            self._answer(index)

    def _turn(self, found: Sequence[int]) -> int | None:
        for index in found:
            if index not in self._reached:
                return index
        return found[-1] if found else None

    def _error(self) -> None:
        self._at(self._received_us + ERROR_US, lambda: self._wire.send(b"\r\nERROR\r\n"))

    def _awaits_data(self, index: int) -> bool:
        if index < 0 or not PROMPT.search(self.steps[index].reply):
            return False
        due = self._following(index)
        data = None if due is None or not self.steps[due].is_data else self.steps[due].request
        if data is None and not ENDS_IN_PROMPT.search(self.steps[index].reply):
            return False  # what looks like a prompt is part of the reply
        recorded = self.steps[index].request or b""
        self._data_of = None if data is None else due
        self._length = _length(self._asked.get(index, b""), recorded, data)
        return self._length != 0

    def _on_data(self, data: bytearray) -> None:
        if self._length is None:
            whole = data.endswith(CTRL_Z) or len(data) >= DATA_MOST
        else:
            whole = len(data) >= self._length
        if not whole:
            return
        self._data = None
        index = self._data_of
        if index is None:
            self._depart(None, bytes(data))
            self._error()
            return
        if bytes(data) != self.steps[index].request:
            self._depart(index, bytes(data))
        self._answer(index)


def _name(command: bytes) -> bytes:
    # `AT+QIOPEN=` of a command with arguments; empty for any other, which has its text only.
    name, equals, arguments = command.partition(b"=")
    return name + equals if equals and arguments != b"?" else b""


def _length(asked: bytes, recorded: bytes, data: bytes | None) -> int | None:
    """How many bytes of data the driver's command announces; None: Ctrl-Z ends them."""
    arguments = asked.partition(b"=")[2].split(b",")
    if data is not None:
        told = recorded.partition(b"=")[2].split(b",")
        for at in reversed(range(min(len(told), len(arguments)))):
            if told[at].strip() == b"%d" % len(data):
                return _number(arguments[at], len(data))
        return None if data.endswith(CTRL_Z) else len(data)
    return next((n for n in (_number(a, 0) for a in reversed(arguments)) if n), 0)


def _number(text: bytes, default: int) -> int:
    text = text.strip()
    return min(int(text), DATA_MOST) if text.isdigit() and len(text) < 10 else default
