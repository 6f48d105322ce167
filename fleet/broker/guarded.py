"""amqtt's broker with its holes closed: identity from the certificate, permissions, revocation.

Pinned to amqtt 0.12.1, whose internals this overrides. What the stock classes let through, each
with a test of its name in tests/attack: a foreign will; a CONNECT with a victim's client id that
makes the victim deaf, refused or not; a persistent session that hands over the victim's identity;
a revoked certificate; an idle connection for ever; a packet of any size.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from amqtt.broker import Broker, Server
from amqtt.contexts import Action as AmqttAction
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt.connack import NOT_AUTHORIZED, ConnackPacket
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

from fleet.broker.framing import BoundedWriter, FramedReader, PacketRefused
from fleet.broker.peer import Peer, UnknownPeer, peer_of
from fleet.broker.permissions import Action, allowed
from fleet.broker.watch import Origin, Watch

_log = logging.getLogger(__name__)

CONNECT_SECONDS = 20  # from the end of the TLS handshake to the CONNECT's last byte
HANDSHAKE_SECONDS = 60  # a TLS handshake over NB-IoT takes tens of seconds
MAX_KEEP_ALIVE = 1800  # s; a client that asks for more, or for none, is held to this
# Keys in the session's attributes, which amqtt leaves to others.
_PEER = "fleet.broker.peer"
_ADDRESS = "fleet.broker.address"
_SPOKE = "fleet.broker.spoke"  # it has published


class NodeHandler(BrokerProtocolHandler):
    """The protocol handler of one connection; it ends an idle one, which amqtt only notes."""

    async def stop(self) -> None:
        """End the connection. Cancelling the reader is not enough: before Python 3.12 `wait_for`
        loses a cancellation that meets a packet, and this would wait for ever.
        """
        if isinstance(self.reader, FramedReader):
            self.reader.end()
        await super().stop()

    def handle_read_timeout(self) -> None:
        """Nothing came within the keep-alive: cut the connection, and the reader loop ends."""
        if isinstance(self.writer, BoundedWriter):
            self.writer.abort()


class GuardedBroker(Broker):
    """A broker that knows its clients by certificate alone.

    `revoked(serial)` is asked at every CONNECT and every action: it must be quick, and whatever
    it raises counts as revoked. `refusals` counts what was refused, by reason.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext,
        revoked: Callable[[int], bool],
        watch: Watch | None = None,
    ) -> None:
        listener = ListenerConfig(type=ListenerType.TCP, bind=f"{host}:{port}")
        # An empty plugin table: no anonymous access, no $SYS topics, no packet logger.
        super().__init__(BrokerConfig(listeners={"default": listener}, plugins={}))
        self._host, self._port, self._tls, self._revoked = host, port, tls, revoked
        self._watch = watch
        self._writers: set[BoundedWriter] = set()
        self.refusals: Counter[str] = Counter()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        sockets = list(self._servers["default"].instance.sockets)
        return int(sockets[0].getsockname()[1])

    def drop_revoked(self) -> int:
        """Cut the live connections of revoked certificates, without their wills; how many."""
        dropped = 0
        for session, handler in list(self._sessions.values()):
            if self._is_revoked(session) and isinstance(handler.writer, BoundedWriter):
                session.will_flag = False
                handler.writer.abort()
                dropped += 1
        return dropped

    def abort_all(self) -> None:
        """Cut every connection, those in mid-handshake of MQTT included."""
        for writer in list(self._writers):
            writer.abort()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection to its end; no exception of it reaches the event loop."""
        bounded = BoundedWriter(writer)
        self._writers.add(bounded)
        try:
            await self._client_connected(listener_name, FramedReader(reader), bounded)
        except Exception as e:  # amqtt raises any kind on hostile bytes; one peer must end alone
            self.refusals["malformed"] += 1
            _log.info("connection ended: %r", e)
        finally:
            self._writers.discard(bounded)
            await bounded.close()

    async def _create_server_instance(
        self,
        listener_name: str,
        listener_type: ListenerType,
        address: str | None,
        port: int,
        ssl_context: ssl.SSLContext | None,
    ) -> asyncio.Server:
        return await asyncio.start_server(
            partial(self.stream_connected, listener_name=listener_name),
            self._host,
            self._port,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=1,
        )

    async def _initialize_client_session(
        self, reader: Any, writer: Any, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                handler, session = await NodeHandler.init_from_connect(
                    reader, writer, self.plugins_manager
                )
        except (AMQTTError, MQTTError, NoDataError, PacketRefused, TimeoutError) as e:
            self.refusals["no CONNECT"] += 1
            raise AMQTTError(f"no valid CONNECT: {e}") from e
        reason = self._why_refused(session)
        if reason:
            self.refusals[reason] += 1
            _log.info("CONNECT from %s refused: %s", remote_address, reason)
            await ConnackPacket.build(0, NOT_AUTHORIZED).to_stream(writer)
            raise AMQTTError(reason)
        peer: Peer = session.attributes[_PEER]
        session.attributes[_ADDRESS] = remote_address
        self._tell(peer, session)
        # The old connection of this client must be gone before the new one takes its name; what
        # it had subscribed goes with it: no state outlives a connection, only receipts count.
        while peer.cn in self._sessions:  # another may come in while one is being stopped
            await self._cleanup_session(peer.cn)
        session.username, session.password = peer.cn, None
        session.clean_session, session.parent = True, 0
        # MQTT 3.1.1, 3.1.2.10: one and a half times the keep-alive.
        session.keep_alive = min(session.keep_alive or MAX_KEEP_ALIVE, MAX_KEEP_ALIVE) * 3 // 2
        return handler, session

    def _tell(self, peer: Peer, session: Session) -> None:
        """Tell the watch who comes, and whose live connection ends by that."""
        if self._watch is None:
            return
        try:
            self._watch.connected(peer)
            old, _ = self._sessions.get(peer.cn, (None, None))
            if old is not None:
                winner, loser = _origin(session), _origin(old)
                self._watch.taken_over(peer.cn, winner, loser, bool(old.attributes.get(_SPOKE)))
        except Exception:  # it only watches: nobody's connection may depend on it
            _log.exception("the watch over connections failed")

    def _why_refused(self, session: Session) -> str:
        """Why this CONNECT is refused, or nothing; notes the peer in the session."""
        try:
            peer = peer_of(session.ssl_object)
        except UnknownPeer as e:
            return str(e)
        session.attributes[_PEER] = peer
        if self._is_revoked(session):
            return "certificate revoked"
        if session.client_id != peer.cn:
            return "client id is not the certificate's CN"
        if session.will_flag and not allowed(peer.cn, Action.PUBLISH, session.will_topic or ""):
            return "will topic not allowed"
        return ""

    def _is_revoked(self, session: Session) -> bool:
        peer: Peer | None = session.attributes.get(_PEER)
        try:
            return peer is None or bool(self._revoked(peer.serial))
        except Exception:  # whatever is wrong with the list: refuse
            _log.exception("the revocation list cannot be asked: everybody is refused")
            return True

    async def _authenticate(self, session: Session, _: ListenerConfig) -> bool:
        return _PEER in session.attributes

    async def _topic_filtering(self, session: Session, topic: str, action: AmqttAction) -> bool:
        # Must not suspend: amqtt's broadcast iterates over live dictionaries across this call.
        peer: Peer | None = session.attributes.get(_PEER)
        if peer is None or self._is_revoked(session):
            self.refusals["certificate revoked"] += 1
            return False
        if not allowed(peer.cn, action.value, topic):
            self.refusals[f"{action.value} not allowed"] += 1
            return False
        if action.value == Action.PUBLISH.value:
            session.attributes[_SPOKE] = True
        return True

    async def _client_message_loop(self, client_session: Session, handler: Any) -> None:
        # amqtt leaves this loop on a topic that begins with $, and keeps the connection: it
        # would go on acknowledging what nobody delivers.
        try:
            await super()._client_message_loop(client_session, handler)
        finally:
            client_id = client_session.client_id or ""
            if self._sessions.get(client_id, (None, None))[1] is handler:
                await self._cleanup_session(client_id)

    async def _cleanup_session(self, client_id: str) -> None:
        session, handler = self._sessions.get(client_id, (None, None))
        if session is not None and handler is not None:
            await self._stop_handler(handler)
            # Acknowledged, but not yet handed on: a client may leave right after its PUBACK.
            while not session.delivered_message_queue.empty():
                message = self._loop.create_future()
                message.set_result(session.delivered_message_queue.get_nowait())
                await self._handle_message_delivery(session, handler, message)
            if self._sessions.get(client_id, (None, None))[1] is not handler:
                return  # a new connection has taken the name meanwhile
        await super()._cleanup_session(client_id)

    async def _handle_disconnect(self, client_session: Session, handler: Any, waiter: Any) -> None:
        if self._is_revoked(client_session):
            client_session.will_flag = False
        await super()._handle_disconnect(client_session, handler, waiter)

    async def retain_message(self, *_args: Any, **_kwargs: Any) -> None:
        """Nothing is retained: a receipt or a report is for whoever is there now."""

    async def close(self) -> None:
        """Stop listening and end every connection, within seconds whatever the peers do."""
        for server in self._servers.values():
            if isinstance(server, Server) and server.instance:
                server.instance.close()
        self.abort_all()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self.shutdown()


def _origin(session: Session) -> Origin:
    peer: Peer = session.attributes[_PEER]
    return Origin(str(session.attributes.get(_ADDRESS)), peer.serial)
