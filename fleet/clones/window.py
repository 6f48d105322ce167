"""What came under the newest numbers of a series, as digests: two of one number are a fork."""

import struct
from hashlib import blake2b

_HEAD = 5  # bytes of the highest number: a Partial IV of OSCORE has as many
_DIGEST = 4  # bytes: of 4,000 million forks one is overlooked


def digest(content: bytes) -> int:
    """Of anything; never 0, which stands for what is not known."""
    return int.from_bytes(blake2b(content, digest_size=_DIGEST).digest(), "big") or 1


class Window:
    """Digests of the `size` numbers up to the highest one that was noted."""

    def __init__(self, size: int, raw: bytes | None = None) -> None:
        self._size = size
        self._layout = struct.Struct(f">{size}I")
        self._highest = -1
        self._digests: dict[int, int] = {}  # 0 where nothing is known
        if raw is not None and len(raw) == _HEAD + size * _DIGEST:
            self._highest = int.from_bytes(raw[:_HEAD], "big")
            numbers = range(self._highest, self._highest - size, -1)
            self._digests = dict(zip(numbers, self._layout.unpack(raw[_HEAD:]), strict=True))

    def differs(self, number: int, found: int) -> bool:
        """Whether something else is known of `number`; False where nothing is."""
        known = self._digests.get(number)
        return bool(known) and known != found and number > self._highest - self._size

    def note(self, number: int, found: int) -> None:
        """Remember, unless `number` lies too far below the highest, or is known."""
        if number <= self._highest - self._size:
            return
        if not self._digests.get(number):
            self._digests[number] = found
        self._highest = max(self._highest, number)

    def dump(self) -> bytes | None:
        """The bytes that make it again; None when nothing was noted."""
        if self._highest < 0:
            return None
        places = range(self._highest, self._highest - self._size, -1)
        known = self._digests
        body = self._layout.pack(*[known.get(n, 0) for n in places])
        return self._highest.to_bytes(_HEAD, "big") + body
