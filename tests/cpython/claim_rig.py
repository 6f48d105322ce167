"""A node whose messages claim numbers of its OSCORE context, without any datagram."""

import fleet_rig as rig
from coap_rig import WRAPPER

from fleet.db.base import Database
from fleet.identity import oscore
from fleet.uplink.message import Claim, Message


class Node:
    """A node with a context, and the messages that come from it."""

    def __init__(self, database: Database, node_id: str) -> None:
        self.node_id = node_id
        self.number = -1
        with database.begin() as session:
            kid = oscore.new_context(session, WRAPPER, node_id).kid
            self.context_id = oscore.find(session, WRAPPER, [kid])[kid].id

    def claim(self) -> Claim:
        """The next number."""
        self.number += 1
        return Claim(self.context_id, self.number)

    def sends(self, payload: bytes | None, claim: Claim | None = None) -> Message:
        """A message of its own."""
        return Message(self.node_id, payload, rig.NOW_US, claim or self.claim())
