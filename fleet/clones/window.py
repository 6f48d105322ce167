"""What came under the newest numbers of a series, as digests: two of one number are a fork."""

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
        self._highest = -1
        self._digests: dict[int, int] = {}
        if raw is not None and len(raw) == _HEAD + size * _DIGEST:
            self._highest = int.from_bytes(raw[:_HEAD], "big")
            for place in range(size):
                at = _HEAD + place * _DIGEST
                found = int.from_bytes(raw[at : at + _DIGEST], "big")
                if found:
                    self._digests[self._highest - place] = found

    def differs(self, number: int, found: int) -> bool:
        """Whether something else is known of `number`; False where nothing is."""
        return self._digests.get(number, found) != found

    def note(self, number: int, found: int) -> None:
        """Remember, unless `number` lies too far below the highest, or is known."""
        if number <= self._highest - self._size:
            return
        self._digests.setdefault(number, found)
        if number > self._highest:
            self._highest = number
            low = number - self._size
            self._digests = {n: d for n, d in self._digests.items() if n > low}

    def dump(self) -> bytes | None:
        """The bytes that make it again; None when nothing was noted."""
        if self._highest < 0:
            return None
        places = range(self._highest, self._highest - self._size, -1)
        body = b"".join(self._digests.get(n, 0).to_bytes(_DIGEST, "big") for n in places)
        return self._highest.to_bytes(_HEAD, "big") + body
