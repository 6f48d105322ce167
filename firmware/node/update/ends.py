"""How a step of an update ends, other than well."""


class Refused(Exception):
    """The job ends: `result` and `detail` of its item, wire/release.py."""

    def __init__(self, result: int, detail: int = 0) -> None:
        super().__init__(result, detail)
        self.result = result
        self.detail = detail


class Later(Exception):
    """Not in this wake: there is no time left, or no clock; what was done is kept."""
