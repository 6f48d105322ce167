"""Bytes that never show in a log, a traceback or a formatted text."""


class SecretBytes(bytes):
    """Bytes whose `repr`, `str` and format are a mask; write them to a file as any bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "SecretBytes(***)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)
