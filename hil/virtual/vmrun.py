"""One run of the VM, from a boot to its end: requests answered, hangs noticed."""

import asyncio
import struct
from collections.abc import Callable
from typing import NamedTuple

from hil.virtual.channel import Channel
from hil.virtual.idle import Idler, Wait
from hil.virtual.net import NetError
from hil.virtual.nvs import NvsError
from hil.virtual.peripherals import Peripherals
from hil.virtual.process import Segment, VmProcess
from hil.virtual.serial_line import SerialLine
from hil.virtual.shims import _ops

# A VM that computes for so long, in real time and of its own processor time, hangs in a loop; so
# does one that only reads the clock. A machine under load makes neither true of an honest VM.
_SILENT_S, _SILENT_CPU_S = 2.0, 1.0
_SPINNING_S = 10.0
_LOOK_S = 0.5
# Ctrl-C reaches a VM with its next request; one that asks for nothing and computed for so long
# gets a signal. Processor time: a VM that merely waits for its turn may be within a request.
_BUSY_CPU_S, _BUSY_LOOK_S = 0.03, 0.02
_NOT_INTERRUPTED = frozenset(  # what the shims ask for on their own behalf
    (
        _ops.HELLO,
        _ops.STARTED,
        _ops.COUNTERS,
        _ops.CUT,
        _ops.RESET,
        _ops.CRASH,
        _ops.KBD_INTR,
        _ops.PROMPT,
        _ops.SERIAL_WRITE,
    )
)


class End(NamedTuple):
    """How a run ended: `sleep`, `reset`, `cut`, `wdt`, `crash`, `exit`, or from outside by `en`
    (a pulse on the chip's EN), `dip` (its brown-out detector), `halt` (the ROM loader takes over)
    or `killed` (no power).
    """

    kind: str
    value: int = 0  # sleep: ms, 0 without a timer; dip: us; reset: its cause; exit: return code
    text: str = ""
    raw: bool = False  # a soft reset out of the raw REPL goes back there


_FROM_OUTSIDE = (
    "dip",
    "en",
    "halt",
    "killed",
)  # the later ones win while a run is being taken down


class VmRun:
    """`on_end` is called once, when the process is gone."""

    def __init__(
        self,
        shims: bytes,
        segment: Segment,
        heapsize: str,
        idler: Idler,
        peripherals: Peripherals,
        hello: bytes,
        serial: SerialLine,
        on_console: Callable[[bytes], None],
        on_end: Callable[[End], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._idler = idler
        self._clock = idler.clock
        self._peripherals = peripherals
        self._hello = hello
        self._serial = serial
        self._interrupted = False  # Ctrl-C was typed and the VM does not know it yet
        self._busy: tuple[int, float] | None = None  # requests and CPU time at the last look
        self._on_end = on_end
        self._end: End | None = None
        self._alive = 0  # requests other than reading the clock
        self._seen = (0, 0, 0.0, 0.0)  # _alive, requests, loop time, CPU time when they changed
        self._waiting = False
        self._hangs = False  # in a loop that asks for nothing, and no watchdog will end it
        self.programs = 0
        self.erases = 0
        self.base_heap = 0  # bytes that the shims take of the VM's heap; none on a chip
        self.crash = ""
        self.process = VmProcess(shims, segment, heapsize, on_console, self._exited)
        self.channel = Channel(self.process.channel, self._request)
        self._watch = self._loop.call_later(_LOOK_S, self._look)
        serial.on_interrupt = self._interrupt
        serial.on_typed = idler.kick

    def kill(self, end: End) -> None:
        """Stop the CPU now; `on_end(end)` follows."""
        if self._end is None:
            self._end = end
            self._idler.cancel()
            self.channel.close()
            self.process.kill()
        elif self._end.kind != "cut" and _rank(end) > _rank(self._end):
            self._end = end  # it happens while a run that ended is still being taken down

    def kill_now(self, end: End) -> None:
        """As `kill`, and `on_end` has been called when this returns."""
        self.kill(end)
        self.process.kill_now()

    def _exited(self, returncode: int) -> None:
        self._watch.cancel()
        self._serial.on_interrupt = self._serial.on_typed = lambda: None
        self._idler.attended = False
        if self._end is None:
            self._idler.cancel()
            self.channel.close()
        self._on_end(self._end or End("exit", returncode))

    def _request(self, op: int, time_us: int, payload: bytes) -> None:
        if self._hangs:  # it did not, after all
            self._hangs = False
            self._idler.cancel()
        self._clock.advance(time_us)
        self._clock.fire_due()
        if op != _ops.NOW:
            self._alive += 1
        deadline = self._peripherals.watchdog.deadline_us
        if deadline is not None and deadline < self._clock.now_us and op != _ops.WDT_FEED:
            self.kill(End("wdt"))
        elif self._interrupted and op not in _NOT_INTERRUPTED:
            self._interrupted = False
            self.channel.interrupt(self._clock.now_us)
        elif op == _ops.IDLE:
            self._idle(*struct.unpack("<qB", payload))
        else:
            self._answer(op, payload)

    def _answer(self, op: int, payload: bytes) -> None:
        try:
            answer = self._peripherals.answer(op, payload)
        except NvsError as e:
            self.channel.refuse(self._clock.now_us, e.errno, e.name)
        except NetError as e:
            self.channel.refuse(self._clock.now_us, e.errno)
        except (struct.error, TypeError, ValueError, IndexError, KeyError) as e:
            self.kill(End("crash", text=f"bad request {op}: {e}"))
        else:
            if answer is None:
                self._life(op, payload)
            else:
                self.channel.reply(self._clock.now_us, answer)

    def _life(self, op: int, payload: bytes) -> None:
        """Operations that begin, end or interrupt the run."""
        if op in (_ops.COUNTERS, _ops.CUT):
            self.programs, self.erases = struct.unpack("<II", payload)
        if op == _ops.HELLO:
            self.channel.reply(self._clock.now_us, self._hello)
        elif op == _ops.COUNTERS:
            self.channel.reply(self._clock.now_us)
        elif op == _ops.STARTED:
            self.base_heap = struct.unpack("<I", payload)[0]
            self.channel.reply(self._clock.now_us)
        elif op == _ops.CUT:
            self.kill(End("cut"))
        elif op == _ops.RESET:
            self.kill(End("reset", payload[0], raw=bool(payload[1])))
        elif op == _ops.SLEEP:
            deep, ms = struct.unpack("<Bq", payload)
            if deep:
                self.kill(End("sleep", max(0, ms)))
            else:
                self._lightsleep(ms)
        elif op == _ops.CRASH:
            self.crash = payload.decode(errors="replace")
            if self._peripherals.watchdog.deadline_us is None and not self._serial.attended:
                self.kill(End("crash", text=self.crash))
            else:
                self.channel.reply(self._clock.now_us)
        else:
            self._talk(op, payload)

    def _talk(self, op: int, payload: bytes) -> None:
        """Operations of UART0."""
        answer = b""
        if op == _ops.SERIAL_READ:
            answer = self._serial.take(*struct.unpack("<H", payload))
        elif op == _ops.SERIAL_WRITE:
            self.process.drain()  # what was printed before goes out before
            self._serial.send(payload)
        elif op == _ops.KBD_INTR:
            self._serial.interrupt_char = struct.unpack("<h", payload)[0]
            self._interrupted = False  # it came too late
        elif op == _ops.PROMPT:
            self._idler.attended = self._serial.attended
        else:
            self.kill(End("crash", text=f"unknown operation {op}"))
            return
        self.channel.reply(self._clock.now_us, answer)

    def _interrupt(self) -> None:
        """Ctrl-C: an answer to a VM that waits, else to its next request, or else a signal."""
        if self._waiting:
            self._waiting = False
            self._idler.cancel()
            self.channel.interrupt(self._clock.now_us)
        elif not self._interrupted:
            self._interrupted, self._busy = True, None
            self._loop.call_later(_BUSY_LOOK_S, self._look_busy)

    def _look_busy(self) -> None:
        if not self._interrupted or self._end is not None:
            return
        requests, used = self.channel.requests, self.process.cpu_seconds()
        if self._busy is None or self._busy[0] != requests:
            self._busy = (requests, used)
        elif used - self._busy[1] >= _BUSY_CPU_S:
            self._interrupted = False
            self.process.interrupt()
            return
        self._loop.call_later(_BUSY_LOOK_S, self._look_busy)

    def _idle(self, until: int, flags: int) -> None:
        pins, uarts = self._peripherals.pins, list(self._peripherals.uarts.values())
        net = self._peripherals.net

        def ready() -> bool:
            if flags & _ops.WAKE_ON_TYPED and self._serial.pending:
                return True
            if flags & _ops.WAKE_ON_RX and (net.pending or any(uart.pending for uart in uarts)):
                return True
            return pins.has_edges

        self._wait(until if until >= 0 else None, ready, self._arrived)

    def _lightsleep(self, ms: int) -> None:
        peripherals = self._peripherals

        def ready() -> bool:
            return peripherals.rtc.woken_by(peripherals.pins.level) is not None

        def answer() -> bytes:
            for uart in peripherals.uarts.values():
                uart.discard()
            return b""

        self._wait(self._clock.now_us + ms * 1000 if ms > 0 else None, ready, answer)

    def _wait(
        self, until: int | None, ready: Callable[[], bool], answer: Callable[[], bytes]
    ) -> None:
        deadline = self._peripherals.watchdog.deadline_us
        times = [time for time in (until, deadline) if time is not None]
        self._waiting = True

        def done() -> None:
            self._waiting = False
            now = self._clock.now_us
            reached = until is not None and until <= now
            if deadline is not None and deadline <= now and not reached and not ready():
                self.kill(End("wdt"))
            else:
                self.channel.reply(now, answer())

        self._idler.wait(Wait(min(times) if times else None, ready, done, real=True))

    def _arrived(self) -> bytes:
        items = b""
        for number, uart in self._peripherals.uarts.items():
            if uart.pending:
                data = uart.take()
                items += struct.pack("<BBH", _ops.RX, number, len(data)) + data
        for pin, edges in self._peripherals.pins.take_edges().items():
            items += struct.pack("<BBHB", _ops.EDGE, pin, 1, edges)
        return items + self._peripherals.net.take()

    def _look(self) -> None:
        """Whether the VM hangs in a loop; then time jumps to the watchdog's deadline, or passes
        with nobody to end it.
        """
        self._watch = self._loop.call_later(_LOOK_S, self._look)
        alive, requests, since, cpu = self._seen
        now, used = self._loop.time(), self.process.cpu_seconds()
        if self._waiting or self._hangs or alive != self._alive:
            self._seen = (self._alive, self.channel.requests, now, used)
            return
        silent = requests == self.channel.requests
        if self._idler.attended:
            self._compute()
            return
        limit = _SILENT_S if silent else _SPINNING_S
        deadline = self._peripherals.watchdog.deadline_us
        if now - since < limit or used - cpu < _SILENT_CPU_S:
            return
        if deadline is None:
            if silent:
                self._hangs = True
                self._idler.wait(Wait(None, lambda: False, lambda: None, real=True))
                self._idler.on_wait(False)  # it computes meanwhile
            return
        self._clock.advance(deadline)
        self._clock.fire_due()
        self.kill(End("wdt"))

    def _compute(self) -> None:
        """Somebody's program computes at the prompt: its time is real, and the watchdog's too."""
        self._clock.advance(self._clock.now_us + int(_LOOK_S * 1_000_000))
        self._clock.fire_due()
        deadline = self._peripherals.watchdog.deadline_us
        if deadline is not None and deadline < self._clock.now_us:
            self.kill(End("wdt"))


def _rank(end: End) -> int:
    return _FROM_OUTSIDE.index(end.kind) if end.kind in _FROM_OUTSIDE else -1
