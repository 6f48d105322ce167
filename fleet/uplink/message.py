"""What any door hands to the ingest."""

from typing import NamedTuple

from fleet.telemetry.operations import TLS


class Claim(NamedTuple):
    """The number that a request under OSCORE takes; it can be taken once.

    `context_id` is the row of the security context, `piv` the request's Partial IV. `fresh` tells
    that the request proved to be new by an Echo option, so that an unknown window begins with it.
    """

    context_id: int
    piv: int
    fresh: bool = False
    digest: int = 0


class Message(NamedTuple):
    """A report as it came in; `received_us` by the fleet's clock, us since 1970 UTC.

    With a claim the payload may be empty, a poll, or None: then there is nothing to store, and
    `wanted` may be the number of the queued item that the node fetches.
    """

    node_id: str
    payload: bytes | None
    received_us: int
    claim: Claim | None = None
    wanted: int | None = None
    trust: int = TLS
