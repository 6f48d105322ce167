"""What any door hands to the ingest."""

from typing import NamedTuple


class Message(NamedTuple):
    """A report as it came in; `received_us` by the fleet's clock, us since 1970 UTC."""

    node_id: str
    payload: bytes
    received_us: int
