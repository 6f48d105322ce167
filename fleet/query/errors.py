"""The one error of this package."""

from fleet.errors import Refusal


class QueryError(Refusal, ValueError):
    """A query that cannot be understood; one line that names the column, from 1, and the word."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(f"query, column {at + 1}: {what}")
        self.at = at
