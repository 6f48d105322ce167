"""The journal, in the heap only while it is needed: not for a pulse, and not beside the link."""

from micropython import const

from node.modules import forget

_FILE = const(2048)  # bytes; each takes a block of 4 KiB
_FILES = const(64)
_ARCHIVE = const(36)  # files of receipted records: over 90 days of hourly ones


class LazyJournal:
    """Call it for the Journal; `depth` is known from RTC memory until then."""

    def __init__(self, path: str, state, epoch_source) -> None:
        self._path = path
        self._state = state
        self._epoch_source = epoch_source
        self._journal = None

    def __call__(self):
        """The Journal, opened on the first call."""
        if self._journal is None:
            from node.store.journal import Journal

            self._journal = Journal(self._path, _FILE, _FILES, self._epoch_source, _ARCHIVE)
        return self._journal

    @property
    def depth(self) -> int:
        """Records without a receipt."""
        depth = self._state.get("depth")
        if self._journal is not None or depth is None:
            return self().depth
        return depth

    def put_away(self) -> None:
        """Close it and note its depth; to be called before RTC memory is saved."""
        if self._journal is not None:
            self._state.set("depth", self._journal.depth)
            self._journal = None
            forget("node.store.journal node.store.segments node.store.segment node.store.ledger")
