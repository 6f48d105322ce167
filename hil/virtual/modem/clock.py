"""A modem's written time."""

from datetime import UTC, datetime


def written(seconds: int) -> str:
    """`yyyy/MM/dd,hh:mm:ss` of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y/%m/%d,%H:%M:%S")
