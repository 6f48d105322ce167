"""Pages of ESP-IDF's NVS as its library keeps them: entries appended, erased by bitmap, live ones
moved out of the way when room runs short. Source: "NVS: Internals" of the programming guide.
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

PAGE, ENTRY, ENTRIES = 4096, 32, 126
UNUSED, ACTIVE, FULL, FREEING = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
U8, I32, STRING, BLOB_1, CHUNK, INDEX = 0x01, 0x14, 0x21, 0x41, 0x42, 0x48
ANY = 0xFF  # chunk number of what has none
_LONG = (STRING, BLOB_1, CHUNK)  # kinds whose data follows in entries of their own
_BITMAP, _FIRST = 32, 64  # offsets within a page
_VERSION_2 = 0xFE
_EMPTY, _WRITTEN = 3, 2


class NvsFullError(Exception):
    """No room, and nothing erased that could make some."""


@dataclass(eq=False)
class Item:
    """A live entry and where it lies now."""

    page: int
    at: int  # entry within the page
    span: int  # entries
    space: int
    kind: int
    chunk: int
    key: str


def crc(*parts: bytes) -> int:
    """CRC-32 as ESP-IDF's ROM computes it."""
    value = 0xFFFFFFFF
    for part in parts:
        value = zlib.crc32(part, value)
    return value


class NvsPages:
    """The pages in `raw`; `changed(offset, data)` is told of each write, in their order."""

    def __init__(self, raw: bytes, changed: Callable[[int, bytes], None]) -> None:
        self._raw = bytearray(raw[: len(raw) // PAGE * PAGE])
        self._changed = changed
        self._count = len(self._raw) // PAGE
        self._free_at: dict[int, int] = {}  # page: its first entry that was never written
        self._state: dict[int, int] = {}
        self._sequence = 0  # of the next page
        self.items: list[Item] = []
        self._load_all()

    # Reading

    def data(self, item: Item) -> bytes:
        """The 8 bytes of an item, or what follows them."""
        at = self._offset(item.page, item.at)
        if item.kind not in _LONG:
            return bytes(self._raw[at + 24 : at + 32])
        size = int.from_bytes(self._raw[at + 24 : at + 26], "little")
        return bytes(self._raw[at + ENTRY : at + ENTRY + size])

    def find(self, space: int, key: str) -> list[Item]:
        """All that is kept under a key: a value, or a blob's index and its chunks."""
        return [item for item in self.items if item.space == space and item.key == key]

    @property
    def free_pages(self) -> int:
        """Pages that hold nothing."""
        return sum(1 for page in range(self._count) if self._state[page] == UNUSED)

    # Writing

    def append(self, space: int, kind: int, chunk: int, key: str, data: bytes) -> Item:
        """Write an item. `data`: 8 bytes, or of a string or chunk as many as there are.

        NvsFullError when there is no room for it.
        """
        span, body, value = 1, b"", data
        if kind in _LONG:
            span = 1 + -(-len(data) // ENTRY)
            body = data
            value = struct.pack("<HHI", len(data), 0xFFFF, crc(data))
        head = struct.pack("<BBBB", space, kind, span, chunk)
        tail = key.encode().ljust(16, b"\0") + value
        page = self._room(span)
        item = Item(page, self._free_at[page], span, space, kind, chunk, key)
        entry = head + struct.pack("<I", crc(head, tail)) + tail
        self._put(item, entry + body.ljust((span - 1) * ENTRY, b"\xff"))
        self.items.append(item)
        return item

    def room(self) -> int:
        """Entries left in the page that is written to, a new one if that is full."""
        page = self._room(2)
        return ENTRIES - self._free_at[page]

    def erase(self, items: Iterable[Item]) -> None:
        """Mark entries as erased; their room comes back when their page is emptied."""
        for item in items:
            for n in range(item.at, item.at + item.span):
                self._mark(item.page, n, 0)
            self.items.remove(item)

    def erase_all(self) -> None:
        """What MicroPython does at boot when NVS does not open: all is lost."""
        for page in range(self._count):
            self._blank(page)
        self.items.clear()
        self._sequence = 0

    # Pages

    def _offset(self, page: int, entry: int) -> int:
        return page * PAGE + _FIRST + entry * ENTRY

    def _write(self, offset: int, data: bytes) -> None:
        self._raw[offset : offset + len(data)] = data
        self._changed(offset, data)

    def _order(self, page: int) -> int:
        sequence: int = struct.unpack_from("<I", self._raw, page * PAGE + 4)[0]
        return sequence

    def _entry_state(self, page: int, n: int) -> int:
        return self._raw[page * PAGE + _BITMAP + n // 4] >> n % 4 * 2 & 3

    def _mark(self, page: int, n: int, state: int) -> None:
        at = page * PAGE + _BITMAP + n // 4
        mask = 3 << n % 4 * 2
        self._write(at, bytes((self._raw[at] & ~mask | state << n % 4 * 2,)))

    def _put(self, item: Item, raw: bytes) -> None:
        self._write(self._offset(item.page, item.at), raw)
        for n in range(item.at, item.at + item.span):
            self._mark(item.page, n, _WRITTEN)
        self._free_at[item.page] = item.at + item.span

    def _load(self, page: int) -> None:
        at = page * PAGE
        state, sequence = struct.unpack_from("<II", self._raw, at)
        version, found = self._raw[at + 8], struct.unpack_from("<I", self._raw, at + 28)[0]
        whole = crc(bytes(self._raw[at + 4 : at + 28]))
        known = state in (ACTIVE, FULL, FREEING) and version == _VERSION_2 and found == whole
        self._state[page] = state if known else UNUSED
        self._free_at[page] = 0
        if not known:  # as for the chip a corrupt page is a free one; it is erased before use
            return
        self._sequence = max(self._sequence, sequence + 1)
        n = 0
        while n < ENTRIES:
            if self._entry_state(page, n) != _EMPTY:
                self._free_at[page] = n + 1
            item = self._item(page, n)
            if item is None:
                n += 1
                continue
            # A newer item replaces what a cut left behind of the one before.
            same = (item.space, item.key, item.chunk)
            stale = [o for o in self.items if (o.space, o.key, o.chunk) == same]
            for old in stale:
                self.items.remove(old)
            self.items.append(item)
            n += item.span
            self._free_at[page] = n

    def _item(self, page: int, n: int) -> Item | None:
        at = self._offset(page, n)
        head = bytes(self._raw[at : at + ENTRY])
        space, kind, span, chunk = head[:4]
        if self._entry_state(page, n) != _WRITTEN:
            return None
        if struct.unpack_from("<I", head, 4)[0] != crc(head[:4], head[8:]):
            return None
        if span == 0 or n + span > ENTRIES:
            return None
        key = head[8:24].split(b"\0", 1)[0].decode("ascii", "replace")
        item = Item(page, n, span, space, kind, chunk, key)
        if kind in _LONG:
            size, found = struct.unpack("<H2xI", head[24:])
            states = {self._entry_state(page, m) for m in range(n, n + span)}
            if span != 1 + -(-size // ENTRY) or states != {_WRITTEN}:
                return None
            if found != crc(self.data(item)):
                return None
        elif span != 1:
            return None
        return item

    def _blank(self, page: int) -> None:
        self._write(page * PAGE, b"\xff" * PAGE)
        self._state[page] = UNUSED
        self._free_at[page] = 0

    def _set_state(self, page: int, state: int) -> None:
        self._state[page] = state
        self._write(page * PAGE, struct.pack("<I", state))

    def _open(self) -> int:
        page = next(page for page in range(self._count) if self._state[page] == UNUSED)
        start = page * PAGE
        if self._raw[start : start + PAGE] != b"\xff" * PAGE:
            self._blank(page)
        head = struct.pack("<IB19s", self._sequence, _VERSION_2, b"\xff" * 19)
        self._write(start, struct.pack("<I", ACTIVE) + head + struct.pack("<I", crc(head)))
        self._state[page] = ACTIVE
        self._sequence += 1
        return page

    def _room(self, span: int) -> int:
        """The active page, with room for `span` entries."""
        for _ in range(2 * self._count + 2):
            active = [page for page in range(self._count) if self._state[page] == ACTIVE]
            if active:
                if ENTRIES - self._free_at[active[-1]] >= span:
                    return active[-1]
                self._set_state(active[-1], FULL)
            if self.free_pages >= 2 or (self.free_pages and self.free_pages == self._count):
                self._open()
            elif not self._reclaim():
                break
        raise NvsFullError

    def recover(self) -> None:
        """What ESP-IDF does at boot when the power failed while a page was being emptied: the page
        that it was emptied into is erased, and all is moved again (nvs_pagemanager.cpp).
        """
        for victim in [page for page in range(self._count) if self._state[page] == FREEING]:
            newest = max(
                (page for page in range(self._count) if self._state[page] != UNUSED),
                key=self._order,
            )
            if self._state[newest] == ACTIVE:
                self._blank(newest)
                self._load_all()
            self._move(victim)

    def _load_all(self) -> None:
        self.items.clear()
        for page in sorted(range(self._count), key=self._order):
            self._load(page)

    def _live(self, page: int) -> int:
        return sum(item.span for item in self.items if item.page == page)

    def _reclaim(self) -> bool:
        """Move what lives in the emptiest page to the spare one, and free it."""
        used = [page for page in range(self._count) if self._state[page] != UNUSED]
        if not used or not self.free_pages:
            return False
        victim = min(used, key=lambda page: (self._live(page), self._order(page)))
        if self._live(victim) == ENTRIES:
            return False
        self._set_state(victim, FREEING)
        self._move(victim)
        return True

    def _move(self, victim: int) -> None:
        spare = self._open()
        for item in sorted(self.items, key=lambda item: item.at):
            if item.page == victim:
                at = self._offset(item.page, item.at)
                raw = bytes(self._raw[at : at + item.span * ENTRY])
                item.page, item.at = spare, self._free_at[spare]
                self._put(item, raw)
        self._blank(victim)
