"""UART0 of a virtual board: what the chip sends there, and what somebody types."""

from collections.abc import Callable

FIFO = (
    65536  # bytes typed that nobody reads; a chip's driver keeps far fewer, a host sends no more
)
CTRL_C = 3


class SerialLine:
    """`sink` gets every byte that the chip sends; None: nobody is connected.

    A byte equal to `interrupt_char` is not kept: `on_interrupt` is called. All other bytes wait
    until the firmware takes them; `on_typed` tells that there are some.
    """

    def __init__(self, sink: Callable[[bytes], None] | None) -> None:
        self._sink = sink
        self._typed = bytearray()
        self.interrupt_char = CTRL_C  # -1: none
        self.on_interrupt: Callable[[], None] = lambda: None
        self.on_typed: Callable[[], None] = lambda: None
        self.dropped = 0

    @property
    def attended(self) -> bool:
        """Whether somebody is connected, so that the prompt waits for them."""
        return self._sink is not None

    @property
    def pending(self) -> bool:
        """Whether bytes wait for the firmware."""
        return bool(self._typed)

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        if self._sink is not None and data:
            self._sink(data)

    def printed(self, data: bytes) -> None:
        """What MicroPython prints: its port ends lines with CR LF."""
        self.send(data.replace(b"\n", b"\r\n"))

    def type_in(self, data: bytes) -> None:
        """Bytes from outside."""
        interrupts = 0 <= self.interrupt_char < 256 and self.interrupt_char in data
        if interrupts:
            data = data.replace(bytes((self.interrupt_char,)), b"")
        room = FIFO - len(self._typed)
        self.dropped += max(0, len(data) - room)
        self._typed += data[:room]
        if interrupts:
            self.on_interrupt()
        if data:
            self.on_typed()

    def take(self, most: int) -> bytes:
        """Bytes that were typed, at most so many."""
        data = bytes(self._typed[:most])
        del self._typed[:most]
        return data

    def reset(self) -> None:
        """The chip was reset: what was not read is gone."""
        self._typed.clear()
        self.interrupt_char = CTRL_C
