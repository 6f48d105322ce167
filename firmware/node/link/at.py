"""The AT engine: one command at a time, each with its own deadline, and URCs routed all the while.

Grammar: 3GPP TS 27.007 and ITU-T V.250. After a command that timed out or was cancelled, the next
one first finds the modem again, so that a late answer is never taken for the new command's.
"""

import asyncio

from micropython import const

from node.errors import AtError, AtTimeout, ModemMute
from node.link.atlines import AtLines

_CHUNK = const(256)  # bytes read at once
_LINES_MOST = const(64)  # lines kept of one reply
_SYNC_TRIES = const(3)
_AT_MS = const(500)  # an awake modem answers `AT` in 22 ms
_QUIET_MS = const(60)  # 690 byte times at 115,200 baud: what was late has come
_QUIET_MOST = const(16)  # a modem that chatters for ever does not hold us up
_TOLD = const(40)  # characters of a command that an error's text repeats
_RESTARTED = const(-1)
_GRACE_MS = const(2_000)  # a swallowed AT was answered by a blank line after 1.8 s
_ERRORS = ("+CME ERROR:", "+CMS ERROR:")


class At:
    """`uart` is a machine.UART, or any stream with `async readinto`, `write` and `async drain`."""

    def __init__(self, uart) -> None:
        self.uart = uart
        if hasattr(uart, "drain"):
            self._source = self._sink = uart
        else:
            self._source = asyncio.StreamReader(uart)
            self._sink = asyncio.StreamWriter(uart, {})
        self._framing = AtLines(self._on_line, self._on_prompt)
        self._handlers = []
        self._reader = None
        self._lock = asyncio.Lock()
        self._done = asyncio.Event()  # the running command has its last line
        self._prompt = asyncio.Event()  # it may send its data, or is done without
        self._heard = asyncio.Event()  # any byte came
        self._text = None  # the running command; None: every line is a URC or noise
        self._until = ()
        self._lines = []
        self._error = None
        self._stale = False  # an answer, or a wish for data, may still be outstanding
        self._owed = 0  # bytes of data that the modem may still be waiting for
        self._ok_due = False  # a command ended by its result: OK or ERROR may come behind it
        self._asked = False  # that command had no data: data's result is followed by OK at most
        self._expiry = None  # of the command that ran when the modem restarted
        self.noise = 0

    def on_urc(self, prefix: str, handler, payload_length=None, commas: int = 0) -> None:
        """Lines that start with `prefix` go to `handler(line, payload)`, also during commands.

        `handler` returns False for a line that it does not want. `payload_length(line)` and
        `commas` are as in AtLines.payload_rule; `payload` is None where none came whole.
        """
        self._handlers.append((prefix, handler))
        if payload_length is not None:
            self._framing.payload_rule(prefix, payload_length, commas)

    async def command(
        self, text: str, deadline_ms: int, expect=None, until=("OK",), data=None
    ) -> "list[str]":
        """Send one command line; its reply's lines, without the closing `OK`.

        `expect` keeps only lines with that prefix. `until` names the lines that end the reply, by
        prefix when they start with `+` or end with a blank; they are kept unless `OK`. `data` is
        sent at the prompt. An OK or ERROR that firmware says behind such a line is nobody's.
        Raises AtTimeout, AtError, or ModemMute when the modem does not answer at all any more.
        """
        async with self._lock:
            if self._stale:
                await self._sync(_SYNC_TRIES)
            lines = await self._exchange(text, deadline_ms, until, data)
        if expect is not None:
            lines = [line for line in lines if line.startswith(expect)]
        return lines

    async def sync(self, tries: int) -> None:
        """Say AT until the modem says OK, `tries` times 500 ms; ModemMute when it never does.

        The first AT after a sleep is swallowed: nothing else may be sent before this.
        """
        async with self._lock:
            await self._sync(tries)

    async def write(self, data) -> None:
        """Send bytes that are no command, as they are; ModemMute when the UART takes none."""
        try:
            # A byte takes 87 us at 115,200 baud, and 1 ms at 9,600.
            await asyncio.wait_for_ms(self._put(data), _AT_MS + 2 * len(data))
        except asyncio.TimeoutError:
            raise ModemMute("the UART takes no bytes")

    def stop(self) -> None:
        """Stop listening until the next command; another reader may take the UART."""
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None
        self._framing.abort()
        self._stale = True

    def interrupt(self) -> None:
        """The modem has restarted: the running command ends now, with AtError."""
        if self._text is not None:
            self._finish(_RESTARTED)

    def hurry(self) -> None:
        """As `interrupt`, in 2 s: a command that came in with the restart is still answered."""
        if self._text is not None:
            self._expiry = asyncio.create_task(self._expire(self._lines))

    async def _expire(self, lines) -> None:
        await asyncio.sleep_ms(_GRACE_MS)
        if self._lines is lines:  # still the same command's
            self.interrupt()

    async def _sync(self, tries: int) -> None:
        self._framing.abort()
        if self._owed:
            # A modem that still waits for data would take our AT for it: fill up what it lacks.
            # To one that does not wait, bare CRs are empty lines.
            fill = b"\r" * self._owed
            self._owed = 0
            await self.write(fill)
        for _ in range(tries):
            try:
                await self._exchange("AT", _AT_MS, ("OK",), None)
                break
            except (AtTimeout, AtError):
                self._framing.abort()
        else:
            raise ModemMute("no answer to AT in %d ms" % (tries * _AT_MS))
        await self._quiet()
        self._stale = False

    async def _quiet(self) -> None:
        for _ in range(_QUIET_MOST):
            self._heard.clear()
            try:
                await asyncio.wait_for_ms(self._heard.wait(), _QUIET_MS)
            except asyncio.TimeoutError:
                return

    async def _exchange(self, text: str, deadline_ms: int, until, data) -> "list[str]":
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        if self._ok_due and (self._asked or "OK" in until):
            await self._quiet()  # firmware differs in which comes first, the result or OK
        self._ok_due = True
        self._asked = data is None
        self._lines = []
        self._error = None
        self._until = until
        self._done.clear()
        self._prompt.clear()
        self._framing.armed = data is not None
        self._text = text
        stale = self._stale
        self._stale = True
        try:
            await asyncio.wait_for_ms(self._talk(text, data), deadline_ms)
            self._stale = stale or self._error == _RESTARTED
        except asyncio.TimeoutError:
            raise AtTimeout("%s: not done in %d ms" % (text[:_TOLD], deadline_ms))
        finally:
            self._text = None
            self._framing.armed = False
            if not self._done.is_set():
                self._ok_due = False  # the next command begins by looking for the modem
        if self._error is not None:
            raise AtError("%s: error %d" % (text[:_TOLD], self._error), max(0, self._error))
        return self._lines

    async def _talk(self, text: str, data) -> None:
        if data is not None:
            self._owed = len(data)
        await self._put(text.encode() + b"\r")
        if data is not None:
            await self._prompt.wait()
            if not self._done.is_set():
                await self._put(data)
            self._owed = 0
        await self._done.wait()

    async def _put(self, data) -> None:
        self._sink.write(data)
        await self._sink.drain()

    async def _read(self) -> None:
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        while True:
            n = await self._source.readinto(buffer)
            if n is None:
                continue
            if not n:
                return  # the stream ended: commands run into their deadlines
            self._heard.set()
            self._framing.feed(view[:n])

    def _on_prompt(self) -> None:
        self._prompt.set()

    def _on_line(self, line: str, payload) -> None:
        for prefix, handler in self._handlers:
            if line.startswith(prefix) and handler(line, payload) is not False:
                return
        if self._text is None or self._done.is_set():
            self.noise += 1
            if line in ("OK", "ERROR"):
                self._ok_due = False
        elif line[:2] != "AT":  # an echo, while ATE0 is not in force
            self._reply(line)

    def _reply(self, line: str) -> None:
        if line == "OK":
            self._ok_due = False
            if self._owed:
                return  # not this command's: its data has not been asked for yet
        if line == "ERROR":
            self._finish(0)
        elif line.startswith(_ERRORS):
            digits = line[11:].strip()
            self._finish(int(digits) if digits.isdigit() and len(digits) < 6 else 0)
        else:
            last = False
            for end in self._until:
                open_end = end.startswith("+") or end.endswith(" ")
                if line == end or (open_end and line.startswith(end)):
                    last = True
            if line != "OK" and (last or len(self._lines) < _LINES_MOST):
                self._lines.append(line)
            if last:
                self._finish(None)

    def _finish(self, error) -> None:
        if not self._done.is_set():
            if error is not None:
                self._ok_due = False
            self._error = error
            self._done.set()
            self._prompt.set()
