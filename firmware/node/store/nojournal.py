"""What a contact reads its records from where the journal cannot be opened."""

from node.errors import JournalError


class NoJournal:
    """Stands for a journal that cannot be opened: the fleet is told all but records."""

    epoch = 1  # of no record
    depth = corrupt = 0
    next_sequence = 1
    dropped: dict = {}

    def oldest(self, *_bounds) -> list:
        """None."""
        return []

    def append(self, *_record) -> int:
        """JournalError."""
        raise JournalError("there is no journal")
