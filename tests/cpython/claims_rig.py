"""A fleet with vouchers in a database of its own, and boards that claim without any radio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
from coap_rig import WRAPPER, Link, Node
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from fleet.coap import udp
from fleet.coap.server import Server
from fleet.identity import client, vouchers
from fleet.identity.authority import Authority
from fleet.identity.claims import Claims
from fleet.identity.secret import SecretBytes
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.wire import claim as wire

PERSON = "wang"


def der(pem: bytes) -> bytes:
    """A request as a node keeps it."""
    return x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)


class Board:
    """A board with keys of its own and somebody's voucher."""

    def __init__(self, node_id: str = "", role: str = "drainage") -> None:
        self.node_id = node_id or rig.new_node_id()
        self.role = role
        self.key, pem = client.make_key_and_csr(self.node_id)
        self.csr = der(pem)
        self.spare = der(client.make_key_and_csr(self.node_id)[1])

    def claim(self, claim_id: str, **other: Any) -> Message:
        """Its claim, as a broker hands it over; `other` replaces what it says."""
        values = {
            "node_id": self.node_id, "role": self.role, "csr": self.csr, "spare": self.spare,
        } | other  # fmt: skip
        return Message(claim_id, wire.encode(**values), rig.NOW_US)


class Desk:
    """The fleet: authority, database, ingest. `folder` is a test's own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "kapok.db"
        self.database = rig.open_database(folder)
        rig.add_nodes(self.database, 0)  # its area
        self.authority = Authority.create(folder / "pki")
        self.ingest = self.another_ingest()
        self.keys: dict[str, SecretBytes] = {}
        self.made: dict[str, vouchers.Made] = {}

    def another_ingest(self) -> Ingest:
        """As another process has it."""
        return Ingest(self.database, WRAPPER, Claims(self.authority, WRAPPER))

    def issue(self, count: int = 1, person: str = PERSON, days: int = 90) -> list[str]:
        """Vouchers for drainage nodes in AREA; their claim ids."""
        ids = [vouchers.draw_id() for _ in range(count)]
        pairs = {one: client.make_claim_key_and_csr(one) for one in ids}
        with self.database.begin() as session:
            made = vouchers.issue(
                session, self.authority, WRAPPER, person, rig.AREA, "drainage", "drainage",
                [request for _, request in pairs.values()], days,
            )  # fmt: skip
        self.keys.update({one: key for one, (key, _) in pairs.items()})
        self.made.update({one.claim_id: one for one in made})
        return ids

    def ask(self, board: Board, claim_id: str, **other: Any) -> wire.Grant:
        """What the fleet answers to a claim, once it is committed."""
        (outcome,) = self.ingest.process([board.claim(claim_id, **other)])
        assert outcome.kind == "claimed"
        assert outcome.receipt is not None
        return wire.decode_grant(outcome.receipt)

    def state(self, claim_id: str) -> str:
        """Of a voucher."""
        with self.database.read() as session:
            (found,) = vouchers.shown(session, [claim_id])
        return found.state

    @contextlib.asynccontextmanager
    async def coap(self) -> AsyncIterator[Link]:
        """A socket to a CoAP server on this fleet."""
        batches = Batches(self.ingest)
        batches.start()
        server = Server(self.database, WRAPPER, batches, udp.bind("127.0.0.1", 0))
        await server.start()
        link = Link(server.port)
        try:
            yield link
        finally:
            link.close()
            await server.stop()
            await asyncio.to_thread(batches.stop)

    def by_coap(self, claim_id: str) -> Node:
        """A board's end of a voucher's OSCORE context."""
        made = self.made[claim_id]
        return Node(claim_id, made.kid, made.secret)

    def query(self, statement: str, *arguments: object) -> list[Any]:
        """By plain SQL."""
        return rig.query(self.path, statement, *arguments)

    def nodes(self) -> set[str]:
        """Registered."""
        return {node_id for (node_id,) in self.query("SELECT id FROM terminals")}


@contextlib.contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """A fleet, closed in the end."""
    made = Desk(folder)
    try:
        yield made
    finally:
        made.database.close()
