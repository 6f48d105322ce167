"""The embedded broker: MQTT 3.1.1 over TLS with client certificates, in the fleet's process."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.broker.errors import BrokerError
from fleet.broker.watch import Watch

if TYPE_CHECKING:
    from fleet.broker.guarded import GuardedBroker

SWEEP_SECONDS = 1.0  # a revoked node's connection lives this long at most; it can do nothing


@dataclass(frozen=True)
class BrokerSettings:
    """Where to listen (port 0: any free one), and PEM files: own chain and key, trusted CAs."""

    certificate: Path
    key: Path
    authorities: Path
    host: str = "127.0.0.1"
    port: int = 0


class EmbeddedBroker:
    """A broker for a laptop or a demonstration, about 3,500 messages a second.

    `revoked(serial)` tells whether a certificate is revoked; it is asked at every action. `watch`
    is told of connections.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        revoked: Callable[[int], bool],
        watch: Watch | None = None,
    ) -> None:
        self.settings = settings
        self._watch = watch
        self._revoked = revoked
        self._broker: GuardedBroker | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; BrokerError before `start`."""
        if self._broker is None:
            raise BrokerError("the broker is not running")
        return self._broker.port

    @property
    def refusals(self) -> Counter[str]:
        """What was refused since the start, by reason."""
        return self._broker.refusals if self._broker else Counter()

    @property
    def connected(self) -> int:
        """Clients with a live session."""
        return len(self._broker.sessions) if self._broker else 0

    async def start(self) -> None:
        """Listen; BrokerError of one line when a file is bad or the port is taken."""
        if self._broker is not None:
            raise BrokerError("the broker is running already")
        tls = tls_context(self.settings)
        _quieten()
        # amqtt takes half a second to import: not before a broker is wanted.
        from amqtt.errors import BrokerError as AmqttBrokerError

        from fleet.broker.guarded import GuardedBroker

        host, port = self.settings.host, self.settings.port
        broker = GuardedBroker(host, port, tls, self._revoked, self._watch)
        try:
            await broker.start()
        except AmqttBrokerError as e:
            cause = e.__cause__
            text = (cause.strerror if isinstance(cause, OSError) else None) or str(cause or e)
            raise BrokerError(
                f"the broker cannot listen on {host}:{port}: {_line(text)}"
            ) from None
        self._broker = broker
        self._sweeper = asyncio.create_task(self._sweep(broker))

    async def stop(self) -> None:
        """End all connections and free the port; nothing to do when it does not run."""
        broker, self._broker = self._broker, None
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
        if broker is not None:
            await broker.close()

    def drop_revoked(self) -> int:
        """Cut the connections of revoked certificates now instead of at the next sweep."""
        return self._broker.drop_revoked() if self._broker else 0

    async def _sweep(self, broker: "GuardedBroker") -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            broker.drop_revoked()


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """TLS 1.2 or later that demands a client certificate; BrokerError names the bad file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    # A resumed session would not verify the certificate again.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    try:
        context.load_verify_locations(settings.authorities)
    except (OSError, ValueError) as e:
        raise BrokerError(f"trusted CAs {settings.authorities}: {_why(e)}") from None
    for path in (settings.certificate, settings.key):
        try:
            path.read_bytes()
        except OSError as e:
            raise BrokerError(f"TLS file {path}: {_why(e)}") from None
    try:
        # An encrypted key must fail instead of asking on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except (OSError, ValueError) as e:
        raise BrokerError(
            f"TLS certificate {settings.certificate} with key {settings.key}: {_why(e)}"
        ) from None
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return _line(error.reason or "not a PEM file of the kind expected")
    return _line(getattr(error, "strerror", None) or str(error))


def _line(text: str) -> str:
    return " ".join(text.split())


def _quieten() -> None:
    # amqtt logs every refused client as a warning or an error; `refusals` counts them instead.
    # A level that somebody has set on purpose is left alone.
    logger = logging.getLogger("amqtt")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
