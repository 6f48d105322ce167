"""A CoAP server on a database of its own, and nodes that speak to it by aiocoap's OSCORE."""

import asyncio
import contextlib
import itertools
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fleet_rig
from aiocoap import CON, GET, POST, UNAUTHORIZED, Message, oscore
from aiocoap.message import Direction

from fleet.coap import udp
from fleet.coap.server import Server
from fleet.db.base import Database
from fleet.identity import oscore as identity
from fleet.identity.wrapping import FileKey, open_wrapper
from fleet.settings import load
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Ingest

PATIENCE = 60.0  # s, on a machine that is busy with other tests
REPEAT_S = 0.5  # before a node of these tests sends again; a real one waits 15 s
WRAPPER = FileKey(Path("wrapping.key"), bytes(32))
_mids = itertools.count(secrets.randbelow(65536))


class NodeContext(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """aiocoap's end of a context, with numbers in memory."""

    alg_aead = oscore.algorithms["AES-CCM-16-64-128"]
    hashfun = oscore.hashfunctions["sha256"]
    id_context = None
    recipient_id = b""
    echo_recovery = None

    def __init__(self, kid: bytes, secret: bytes) -> None:
        self.sender_id = kid
        self.sender_sequence_number = 0
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()
        self.derive_keys(b"", secret)

    def post_seqnoincrease(self) -> None:
        """Nothing to keep: no test cuts this end's power."""


class Node:
    """A registered node that makes its datagrams itself: `seal` one, `open` its answer."""

    def __init__(self, node_id: str, kid: bytes, secret: bytes) -> None:
        self.node_id = node_id
        self.kid = kid
        self.secret = bytes(secret)
        self.context = NodeContext(kid, secret)

    def seal(
        self, payload: bytes = b"", *, code: Any = POST, mtype: Any = CON, **options: Any
    ) -> tuple[bytes, Any]:
        """A datagram, and what opens its answer. `options` by aiocoap's names, inside."""
        message = Message(code=code, payload=payload, **options)
        outer, request = self.context.protect(message)
        return encoded(outer, mtype), request

    def open(self, raw: bytes, request: Any) -> Message:
        """The protected answer; the plain one where it is not protected."""
        outer = Message.decode(raw)
        outer.direction = Direction.INCOMING
        if outer.opt.oscore is None:
            return outer
        return self.context.unprotect(outer, request)[0]


class Link:
    """A UDP socket of a node or of anybody."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.bind((host, 0))
        self._sock.connect(("127.0.0.1", port))

    def send(self, raw: bytes) -> None:
        """One datagram."""
        self._sock.send(raw)

    async def receive(self) -> bytes:
        """The next one that comes."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self._sock, 4096)

    async def exchange(self, raw: bytes) -> bytes:
        """One there, one back."""
        self.send(raw)
        return await self.receive()

    async def deliver(self, node: Node, payload: bytes) -> Message:
        """As a node does it: the same bytes until an answer comes, sealed again after a 4.01."""
        async with asyncio.timeout(PATIENCE):
            while True:
                raw, request = node.seal(payload)
                answer = node.open(await self._repeated(raw), request)
                if answer.code != UNAUTHORIZED:
                    return answer

    async def _repeated(self, raw: bytes) -> bytes:
        while True:
            self.send(raw)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REPEAT_S):
                    while (answer := await self.receive())[2:4] != raw[2:4]:
                        pass  # a late one, of an earlier request
                    return answer

    async def silence(self) -> None:
        """Fails unless the next thing that comes is the answer to a ping sent now."""
        assert await self.exchange(b"\x40\x00\xab\xcd") == b"\x70\x00\xab\xcd"

    async def ask(self, node: Node, payload: bytes = b"", **options: Any) -> Message:
        """A request of `node` and its answer, opened."""
        raw, request = node.seal(payload, **options)
        return node.open(await self.exchange(raw), request)

    async def fetch(self, node: Node, number: int, **options: Any) -> Message:
        """GET /d/<number>."""
        return await self.ask(node, code=GET, uri_path=("d", str(number)), **options)

    def close(self) -> None:
        """As a socket."""
        self._sock.close()


class Rig:
    """The server, and what it stands on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "kapok.db"
        self.database: Database = fleet_rig.open_database(folder)
        self.ingest = Ingest(self.database, WRAPPER)
        self.links: list[Link] = []

    async def start(self) -> None:
        """Serve, on another port each time."""
        self.batches = Batches(self.ingest)
        self.batches.start()
        self.server = Server(self.database, WRAPPER, self.batches, udp.bind("127.0.0.1", 0))
        await self.server.start()

    async def stop(self) -> None:
        """As the composition does it."""
        await self.server.stop()
        await asyncio.to_thread(self.batches.stop)
        for link in self.links:
            link.close()

    @property
    def counts(self) -> Any:
        """What the server says of datagrams."""
        return self.server.counts

    def node(self) -> Node:
        """A new node with a context."""
        (node_id,) = fleet_rig.add_nodes(self.database, 1)
        with self.database.begin() as session:
            made = identity.new_context(session, WRAPPER, node_id)
        return Node(node_id, made.kid, made.secret)

    def distrust(self) -> None:
        """As after restoring a backup."""
        with self.database.begin() as session:
            identity.distrust(session, None)

    def link(self, host: str = "127.0.0.1") -> Link:
        """A socket to the server, closed at the end; any address of 127/8."""
        self.links.append(Link(self.server.port, host))
        return self.links[-1]

    async def until(self, kind: str, count: int = 1) -> None:
        """Wait until the server has counted so many."""
        async with asyncio.timeout(PATIENCE):
            while self.counts[kind] < count:  # noqa: ASYNC110  # a server has no events for tests
                await asyncio.sleep(0.002)

    async def until_stored(self, count: int) -> None:
        """Wait until so many records are committed."""
        async with asyncio.timeout(PATIENCE):
            while len(self.stored()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def stored(self) -> set[tuple[str, int, int]]:
        """(node, epoch, sequence) of what is committed; nothing may be there twice."""
        found = fleet_rig.stored(self.path)
        assert all(times == 1 for times in found.values()), "a record was stored twice"
        return set(found)


def without_limits(rig: Rig) -> None:
    """Whatever comes is admitted."""
    rig.server.limits.admit = lambda address: True  # type: ignore[method-assign]


def provision(data: Path, count: int) -> list[Node]:
    """Nodes with contexts in a data folder that `kapok init` made."""
    settings = load(data)
    wrapper = open_wrapper(settings)
    with contextlib.closing(Database(settings.database_url)) as database:
        node_ids = fleet_rig.add_nodes(database, count, "gas-meter")
        with database.begin() as session:
            made = [(n, identity.new_context(session, wrapper, n)) for n in node_ids]
    return [Node(n, new.kid, new.secret) for n, new in made]


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Rig]:
    """A rig that serves meanwhile."""
    rig = Rig(folder)
    await rig.start()
    try:
        yield rig
    finally:
        await rig.stop()
        rig.database.close()


def encoded(message: Message, mtype: Any = CON, token: bytes = b"") -> bytes:
    """Its bytes under the next message ID."""
    message.mtype = mtype
    message.mid = next(_mids) & 0xFFFF
    message.token = token
    raw: bytes = message.encode()
    return raw
