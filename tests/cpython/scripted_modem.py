"""A modem of a few lines: what it says to a command is in a table, all else is OK."""

from collections.abc import Callable, Mapping

from at_stream import Scripted

# Lines of the reply, "OK" or an error last; several of them are given in turn, the last for ever.
Reply = str | list[str] | Callable[[], str]
OK = "OK"
MUTE = ""


class ScriptedModem(Scripted):
    """Bytes to drivers, `log` of the commands that came, `after` for lines behind a reply."""

    def __init__(self, replies: Mapping[str, Reply] | None = None) -> None:
        super().__init__(self._heard)
        self.replies: dict[str, Reply] = dict(replies or {})
        self.after: dict[str, tuple[float, str]] = {}  # command: (seconds, lines)
        self.log: list[str] = []
        self.mute = False
        self._line = b""

    def say(self, *lines: str) -> None:
        """Lines that nobody asked for."""
        self.push("".join(f"\r\n{line}\r\n" for line in lines).encode())

    def count(self, start: str) -> int:
        """How many commands began so."""
        return sum(line.startswith(start) for line in self.log)

    def _heard(self, data: bytes) -> bytes | None:
        *lines, self._line = (self._line + data).split(b"\r")
        for line in lines:
            self._command(line.decode("latin-1"))
        return None

    def _command(self, line: str) -> None:
        if not line:
            return
        self.log.append(line)
        if self.mute or not line.startswith("AT"):
            return
        reply = self.replies.get(line, OK)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        text = reply() if callable(reply) else reply
        self.say(*text.splitlines())
        if line in self.after:
            seconds, lines = self.after[line]
            self.later(seconds, "".join(f"\r\n{each}\r\n" for each in lines.splitlines()).encode())


class Pin:
    """A pin that keeps what was set and tells `changed(name, level)`."""

    def __init__(self, name: str, changed: Callable[[str, int], None] | None = None) -> None:
        self.name = name
        self.levels: list[int] = []
        self._changed = changed

    def value(self, level: int) -> None:
        self.levels.append(level)
        if self._changed is not None:
            self._changed(self.name, level)
