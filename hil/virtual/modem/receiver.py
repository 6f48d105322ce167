"""The modem's receive line: bytes from the host become command lines, or data after a prompt."""

from collections.abc import Callable

CR, BACKSPACE, SPACE = 0x0D, 0x08, 0x20


class Receiver:
    """`on_line(line, too_long)` gets each line, `on_data(data)` what `expect` asked for.

    Total and bounded: any bytes are taken.
    """

    def __init__(
        self,
        on_line: Callable[[bytes, bool], None],
        on_data: Callable[[bytes], None],
        line_most: int,
    ) -> None:
        self._line_most = line_most  # bytes of a command line
        self._on_line = on_line
        self._on_data = on_data
        self._line = bytearray()
        self._too_long = False
        self._data = bytearray()
        self._length = 0

    def expect(self, length: int) -> None:
        """The next `length` bytes are data, whatever they are."""
        self._data.clear()
        self._length = length

    def clear(self) -> None:
        """Forget what is unfinished, data as well."""
        self.clear_line()
        self._data.clear()
        self._length = 0

    def clear_line(self) -> None:
        """Forget an unfinished line."""
        self._line.clear()
        self._too_long = False

    def feed(self, byte: int) -> None:
        """Take the byte that came next."""
        if self._length:
            self._data.append(byte)
            if len(self._data) == self._length:
                data = bytes(self._data)
                self.clear()
                self._on_data(data)
        elif byte == CR:
            line, too_long = bytes(self._line), self._too_long
            self.clear_line()
            self._on_line(line, too_long)
        elif byte == BACKSPACE:
            del self._line[-1:]
        elif byte >= SPACE:
            if len(self._line) < self._line_most:
                self._line.append(byte)
            else:
                self._too_long = True
