"""A GSM modem on a pseudo-terminal that does what a script of the test says: text mode of 3GPP
TS 27.005, as far as an office needs it.
"""

import contextlib
import os
import re
import threading
import tty
from collections.abc import Callable, Iterator

_AT = '"26/11/26,18:00:00+32"'
Answers = Callable[[str, str], list[tuple[str, str]]]


class SmsModem:
    """`answers` gives (sender, text) of what comes back for (number, text). `says`: what it says
    to a command instead of OK; `noise` stands before each of its answers.
    """

    def __init__(
        self, answers: Answers, says: dict[str, str] | None = None, noise: str = ""
    ) -> None:
        self.answers, self.says, self.noise = answers, says or {}, noise
        self.sent: list[tuple[str, str]] = []
        self.commands: list[str] = []
        self._inbox: list[tuple[str, str]] = []
        self._kept: dict[int, tuple[str, str]] = {}
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def comes(self, sender: str, text: str) -> None:
        """An SMS comes in."""
        self._inbox.append((sender, text))

    def close(self) -> None:
        """Pull its plug."""
        os.close(self._slave)
        with contextlib.suppress(OSError):
            os.close(self._master)

    def _say(self, text: str) -> None:
        os.write(self._master, text.encode())

    def _run(self) -> None:
        held = b""
        number = None
        while True:
            try:
                held += os.read(self._master, 4096)
            except OSError:
                return
            while True:
                if number is None:
                    line, found, rest = held.partition(b"\r")
                else:
                    line, found, rest = held.partition(b"\x1a")
                if not found:
                    break
                held = rest
                with contextlib.suppress(OSError):
                    number = self._took(line.decode().strip("\x1b"), number)

    def _took(self, line: str, number: str | None) -> str | None:
        """A command or, behind its number, a text; the number of a text that is to come."""
        if number is not None:
            self.sent.append((number, line))
            if "CMGS" not in self.says:
                self._inbox += self.answers(number, line)
            self._say(self.noise + self.says.get("CMGS", "\r\n+CMGS: 7\r\n\r\nOK\r\n"))
            return None
        self.commands.append(line)
        name = re.sub("^AT[+]?", "", line).partition("=")[0].rstrip("?")
        if name == "CMGS":
            self._say("\r\n> ")
            return line.partition('"')[2].rstrip('"')
        if name in self.says:
            self._say(self.says[name])
            return None
        listed = ""
        if name == "CMGL":
            for sender, text in self._inbox:
                place = len(self._kept) + 1
                self._kept[place] = sender, text
                listed += f'+CMGL: {place},"REC UNREAD","{sender}",,{_AT}\r\n{text}\r\n'
            self._inbox.clear()
        if name == "CMGR":
            sender, text = self._kept[int(line.partition("=")[2])]
            listed = f'+CMGR: "REC READ","{sender}",,{_AT}\r\n{text}\r\n'
        if name == "CPMS":
            listed = '+CPMS: "SM",2,20,"SM",2,20,"SM",2,20\r\n'
        if name == "CPIN":
            listed = "+CPIN: READY\r\n"
        self._say(f"{self.noise}\r\n{listed}" + ("\r\n" if listed else "") + "OK\r\n")
        return None


@contextlib.contextmanager
def modem(
    answers: Answers = lambda *_: [], says: dict[str, str] | None = None, noise: str = ""
) -> Iterator[SmsModem]:
    """Until the block ends."""
    made = SmsModem(answers, says, noise)
    try:
        yield made
    finally:
        made.close()
