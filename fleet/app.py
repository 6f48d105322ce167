"""Composition root of `kapok serve`: broker, ingest, CoAP and API in one process on one folder."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy.orm import Session

from fleet.alarms import outbox
from fleet.alarms.sender import Sender
from fleet.alarms.transport import Transport
from fleet.api import routes
from fleet.api.metrics import Counters, Gauges
from fleet.api.server import Server
from fleet.broker.embedded import BrokerSettings, EmbeddedBroker
from fleet.coap import udp
from fleet.coap.server import Server as CoapServer
from fleet.db import revision
from fleet.db.base import Database
from fleet.enrol.server import EnrolServer
from fleet.identity.authority import Authority
from fleet.identity.claims import Claims
from fleet.identity.files import PUBLIC, write_atomic
from fleet.identity.wrapping import Cached, Wrapper, open_wrapper
from fleet.releases import deltas
from fleet.rollouts import listing
from fleet.settings import Settings, SettingsError
from fleet.setup import prepare_certificates
from fleet.updates.blocks import Blocks
from fleet.updates.desk import BlockDesk
from fleet.updates.https import UpdateServer
from fleet.updates.streams import Streams
from fleet.upkeep import Upkeep
from fleet.uplink.batches import Batches
from fleet.uplink.bus_desk import BusDesk
from fleet.uplink.ingest import Ingest
from fleet.uplink.subscriber import BrokerAddress, Subscriber

REVOCATION_S = 2.0  # a revocation by another process is seen this late at most


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the data folder; SettingsError when another fleet serves from it."""
    try:
        file = (data / "lock").open("a+")
    except OSError as e:
        raise SettingsError(f"cannot write in {data}: {e.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"another kapok serve runs on {data}: stop it first") from None
        yield


def listen(host: str, port: int, what: str = "the API") -> socket.socket:
    """A listening TCP socket; SettingsError when the address is taken."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)  # bound alone, it would not keep another process from the same port
    except (OSError, ValueError, OverflowError) as e:
        sock.close()
        reason = getattr(e, "strerror", None) or str(e)
        raise SettingsError(f"{what} cannot listen on {host}:{port}: {reason}") from None
    return sock


async def serve(settings: Settings, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is told the addresses once all parts run."""
    with locked(settings.data), contextlib.closing(Database(settings.database_url)) as database:
        revision.check(database)
        authority = Authority.load(settings.pki)
        prepare_certificates(authority, settings)
        wrapper = Cached(open_wrapper(settings))
        with contextlib.ExitStack() as sockets:
            sock = sockets.enter_context(listen(settings.api_host, settings.api_port))
            coap = None
            if settings.coap_port is not None:
                coap = sockets.enter_context(udp.bind(settings.coap_host, settings.coap_port))
            enrol = None
            if settings.enrol_port is not None:
                enrol = sockets.enter_context(
                    listen(settings.enrol_host, settings.enrol_port, "enrolment")
                )
            updates = None
            if settings.updates_port is not None:
                updates = sockets.enter_context(
                    listen(settings.updates_host, settings.updates_port, "the server of updates")
                )
            await _Composition(
                settings, database, authority, wrapper, sock, coap, enrol, updates
            ).run(ready)


class _Composition:
    """The parts, started in order and stopped in the opposite one."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        authority: Authority,
        wrapper: Wrapper,
        sock: socket.socket,
        coap_socket: socket.socket | None,
        enrol_socket: socket.socket | None,
        updates_socket: socket.socket | None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._authority = authority
        self._wrapper = wrapper
        self._socket = sock
        self._coap_socket = coap_socket
        self._care = Upkeep(settings, database, authority, wrapper=wrapper)
        self._enrol_socket = enrol_socket
        self._updates_socket = updates_socket
        self._blocks = Blocks(Streams(database))
        self._ingest = Ingest(database, wrapper, Claims(authority, wrapper))
        self._batches = Batches(self._ingest)
        self._sender = Sender(database, Transport.of(settings, wrapper))
        self._broker: EmbeddedBroker | None = None
        self._coap: CoapServer | None = None
        self._enrol: EnrolServer | None = None
        self._updates: UpdateServer | None = None
        self._subscriber: Subscriber | None = None

    async def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            self._care.start()
            stack.callback(self._care.close)
            broker_address = await self._start_broker(stack)
            desk = BusDesk(self._settings.data / "bus.json")
            blocks = BlockDesk(self._blocks)
            self._subscriber = Subscriber(broker_address, self._batches, desk.heard, blocks.heard)
            self._subscriber.start()
            await desk.start(self._subscriber.say)
            stack.push_async_callback(desk.stop)
            blocks.start(self._subscriber.say_block)
            stack.push_async_callback(asyncio.to_thread, blocks.stop)
            stack.push_async_callback(asyncio.to_thread, self._subscriber.stop)
            self._batches.start()
            stack.push_async_callback(asyncio.to_thread, self._batches.stop)
            await self._start_coap(stack)
            await self._start_updates(stack)
            await self._start_enrol(stack, broker_address)
            self._sender.start()
            stack.push_async_callback(asyncio.to_thread, self._sender.stop)
            upkeep = asyncio.create_task(self._upkeep())
            stack.callback(upkeep.cancel)
            counters = Counters(
                {
                    "ingest": lambda: self._ingest.counts,
                    "uplink": self._uplink_counts,
                    "alarm_messages": lambda: self._sender.counts,
                    "update_blocks": lambda: self._blocks.counts,
                    "coap": lambda: self._coap.counts if self._coap else {},
                    "broker_refusals": lambda: self._broker.refusals if self._broker else {},
                }
            )
            counters.register()
            stack.callback(counters.unregister)
            gauges = Gauges(
                {
                    "open_alarms": self._care.open_alarms,
                    "alarm_outbox": self._outbox,
                    "crl_seconds_left": lambda: {"crl.pem": self._care.crl_seconds},
                    "rollouts": lambda: self._counted(listing.active_counts),
                    "updates": lambda: self._counted(listing.update_counts),
                    "release_deltas": lambda: self._counted(deltas.counts),
                }
            )
            gauges.register()
            stack.callback(gauges.unregister)
            await self._serve_api(broker_address, ready)

    def _counted(self, count: Callable[[Session], dict[str, int]]) -> dict[str, int]:
        with self._database.read() as session:
            return count(session)

    def _outbox(self) -> dict[str, int]:
        with self._database.read() as session:
            return outbox.counts(session)

    def _uplink_counts(self) -> dict[str, int]:
        of_broker = self._subscriber.counts if self._subscriber else {}
        return {**of_broker, **self._batches.counts}

    async def _start_coap(self, stack: contextlib.AsyncExitStack) -> None:
        if self._coap_socket is not None:
            self._coap = CoapServer(
                self._database, self._wrapper, self._batches, self._coap_socket, self._blocks
            )
            await self._coap.start()
            stack.push_async_callback(self._coap.stop)

    async def _start_updates(self, stack: contextlib.AsyncExitStack) -> None:
        if self._updates_socket is not None:
            self._updates = UpdateServer(
                self._blocks, self._authority, self._care.revoked, self._updates_socket
            )
            await self._updates.start()
            stack.push_async_callback(self._updates.stop)

    async def _start_enrol(self, stack: contextlib.AsyncExitStack, broker: BrokerAddress) -> None:
        if self._enrol_socket is None:
            return
        settings = self._settings
        own_name = settings.broker_names[0]
        doors = {"mqtt": (own_name if self._broker else broker.host, broker.port)}
        if self._coap is not None:
            everywhere = settings.coap_host in ("0.0.0.0", "::")  # noqa: S104
            doors["coap"] = (own_name if everywhere else settings.coap_host, self._coap.port)
        if self._updates is not None:
            doors["updates"] = (own_name, self._updates.port)
        self._enrol = EnrolServer(
            self._database, self._authority, self._wrapper, settings, self._enrol_socket, doors
        )
        await self._enrol.start()
        stack.push_async_callback(self._enrol.stop)

    async def _start_broker(self, stack: contextlib.AsyncExitStack) -> BrokerAddress:
        settings, service = self._settings, self._authority.service
        if settings.external is not None:
            host, port = settings.external
        else:
            server = self._authority.server
            self._broker = EmbeddedBroker(
                BrokerSettings(
                    certificate=server.certificate,
                    key=server.key,
                    authorities=self._authority.bundle_path,
                    host=settings.broker_host,
                    port=settings.broker_port,
                ),
                self._care.revoked,
                self._care.sessions,
            )
            await self._broker.start()
            stack.push_async_callback(self._broker.stop)
            host, port = settings.own_broker_host, self._broker.port
        return BrokerAddress(
            host, port, self._authority.bundle_path, service.certificate, service.key
        )

    async def _serve_api(
        self, broker: BrokerAddress, ready: Callable[[dict[str, Any]], None]
    ) -> None:
        from importlib.metadata import version

        app = routes.create(self._database, self._health, version("kapok"))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
        )
        server = Server(config)
        loop = asyncio.get_running_loop()

        def end() -> None:
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        starting = asyncio.create_task(server.ready.wait())
        await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
        starting.cancel()
        if serving.done():  # it never started: do not say that it did
            return await serving
        addresses = {
            "pid": os.getpid(),
            "api": f"http://{self._settings.api_host}:{self._socket.getsockname()[1]}",
            "api_port": self._socket.getsockname()[1],
            "broker_host": self._settings.broker_names[0] if self._broker else broker.host,
            "broker_port": broker.port,
        }
        if self._coap is not None:
            addresses |= {"coap_host": self._settings.coap_host, "coap_port": self._coap.port}
        if self._updates is not None:
            addresses |= {
                "updates_host": self._settings.broker_names[0],
                "updates_port": self._updates.port,
            }
        if self._enrol is not None:
            name = self._settings.broker_names[0]
            host = f"[{name}]" if ":" in name else name
            addresses["enrol_url"] = f"https://{host}:{self._enrol.port}"
        try:
            write_atomic(self._settings.run_file, json.dumps(addresses).encode(), PUBLIC)
            ready(addresses)
            await serving
        finally:
            self._settings.run_file.unlink(missing_ok=True)
            server.should_exit = True
            await asyncio.wait([serving])

    def _health(self) -> dict[str, Any]:
        connected = self._subscriber is not None and self._subscriber.connected.is_set()
        return {"ok": connected, "broker": connected, "coap": self._coap is not None}

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(REVOCATION_S)
            # A thread may wait for the database; the broker lives in this loop.
            if await asyncio.to_thread(self._care.tick) and self._broker is not None:
                self._broker.drop_revoked()
