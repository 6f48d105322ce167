"""The modem's end of the UART: command lines, prompts and data, and the answers to them."""

import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

from hil.virtual.modem.family import CommandError, Family, Prompt, Reply
from hil.virtual.modem.grammar import GrammarError, is_command, parse
from hil.virtual.modem.receiver import Receiver
from hil.virtual.modem.wire import Wire
from hil.virtual.twin import Timer, UartPort

PROMPT_US = 60_000_000  # data mode gives up after this
ANSWER_US = (2_000, 22_000)  # 22 ms from AT to OK in a recorded transcript
LOG_MOST = 200
LF = 10


class Owner(Protocol):
    """The part of ModemTwin that a terminal needs."""

    family: Family

    def speaks(self) -> bool:
        """Whether the modem is in a state in which it sends."""

    def touch(self) -> None:
        """Something happened on the line."""


class Terminal:
    """`prompting` while the modem waits for data. `chatter`: chance of a URC within a reply.

    `commands` counts the command lines that were taken in.
    """

    def __init__(
        self,
        owner: Owner,
        port: UartPort,
        wire: Wire,
        rng: random.Random,
        chatter: float,
        log: deque[str],
    ) -> None:
        self._owner = owner
        self._port = port
        self._wire = wire
        self._rng = rng
        self._chatter = chatter
        self._log = log
        self._input = Receiver(self._on_line, self._on_data, owner.family.table.line_most)
        self._prompt: Prompt | None = None
        self._timer: Timer | None = None  # the end of a prompt
        self._asks_us = 0  # when the prompt goes out
        self._received_us = 0  # when the newest byte from the host has wholly arrived
        self._training = False
        self._hear: Callable[[bytes], None] | None = None
        self.echo = True
        self.commands = 0

    @property
    def prompting(self) -> bool:
        """Whether what comes next is data."""
        return self._prompt is not None or self._hear is not None

    def heard(self, count: int) -> None:
        """The host has sent that many bytes, whatever becomes of them."""
        now = self._port.now()
        self._received_us = max(now, self._received_us) + self._wire.duration_us(count)

    def feed(self, data: bytes) -> None:
        """Bytes that the modem takes in; total: any bytes give answers or nothing."""
        for at, byte in enumerate(data):
            if self._hear is not None:
                self._hear(data[at:])
                return
            # Many hosts end a command with CR LF: the LF that runs ahead of the prompt is no data.
            if byte != LF or self._prompt is None or self._port.now() >= self._asks_us:
                self._input.feed(byte)

    def go_online(self, hear: Callable[[bytes], None] | None) -> None:
        """Bytes are `hear`'s, and only `stream` sends; None: command lines again."""
        self._hear = hear

    def stream(self, data: bytes) -> None:
        """Send bytes while online."""
        if self._hear is not None and self._owner.speaks():
            self._wire.send(data, self._received_us)

    def clear(self) -> None:
        """Forget what is unfinished, data as well."""
        self._hear = None
        self._end_prompt()
        self._input.clear()

    def clear_line(self) -> None:
        """Forget an unfinished line."""
        self._input.clear_line()

    def train(self) -> None:
        """The next AT only teaches the modem the rate."""
        self._training = True

    def reset(self) -> None:
        """As after power on."""
        self.clear()
        self.echo = True
        self._training = False

    def answer(self, line: str | bytes) -> None:
        """Send a line of a reply: not before the command came in and was worked on."""
        worked_us = self._rng.randint(*ANSWER_US)
        text = line if isinstance(line, bytes) else line.encode()
        self.transmit(b"\r\n" + text + b"\r\n", self._received_us + worked_us)

    def transmit(self, data: bytes, not_before_us: int = 0) -> None:
        """Send bytes as they are, unless the modem is in a state that sends nothing."""
        if self._owner.speaks() and self._hear is None:
            self._wire.send(data, not_before_us)
            self._owner.touch()

    def _end_prompt(self) -> None:
        self._prompt = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_data(self, data: bytes) -> None:
        prompt = self._prompt
        self.clear()
        if self.echo:
            self.transmit(data, self._received_us)
        if prompt is not None:
            prompt.take(data)

    def _prompt_expired(self) -> None:
        self.clear()
        self.answer("ERROR")

    def _on_line(self, raw: bytes, too_long: bool) -> None:
        line = raw.decode("ascii", "replace").strip()
        if self._training:
            self._training = line.upper() != "AT"
            return
        if self.echo:
            self.transmit(raw + b"\r", self._received_us)
        if not line:
            return
        self._log.append(line)
        if is_command(line):
            self.commands += 1
            self._run(line, too_long)

    def _run(self, line: str, too_long: bool) -> None:
        family = self._owner.family
        try:
            if too_long:
                raise GrammarError("the line is too long")
            reply = family.handle(parse(line))
        except GrammarError:
            self.answer("ERROR")
        except CommandError as e:
            self.answer(family.failure(e.code))
        else:
            self._reply(reply)

    def _reply(self, reply: Reply | Prompt) -> None:
        chatter = self._owner.family.table.chatter
        if self._rng.random() < self._chatter and chatter:
            self.transmit(b"\r\n" + self._rng.choice(chatter).encode() + b"\r\n")
        if isinstance(reply, Prompt):
            self._ask(reply)
            return
        for line in reply.lines:
            self.answer(line)
        if reply.final:
            self.answer(reply.final)
        if reply.then is not None:
            reply.then()

    def _ask(self, prompt: Prompt) -> None:
        self.clear()
        self._prompt = prompt
        self._input.expect(prompt.length)
        self._asks_us = self._received_us + self._rng.randint(*ANSWER_US)
        self.transmit(b"\r\n> ", self._asks_us)
        self._timer = self._port.call_at(self._port.now() + PROMPT_US, self._prompt_expired)
