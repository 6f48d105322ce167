"""Brokers on free ports with a PKI of their own: ours, Mosquitto, and amqtt as it comes."""

import asyncio
import itertools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mqtt_peers import PATIENCE, Client, Credential, RawClient

from fleet.broker.embedded import BrokerSettings, EmbeddedBroker
from fleet.broker.mosquitto import MosquittoSettings, render
from fleet.identity import profiles
from fleet.identity.authority import Authority, Revoked
from fleet.identity.client import key_pem, make_key_and_csr
from fleet.identity.profiles import Signer
from fleet.wire import nodeid

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
_macs = itertools.count(0x30AEA4000001)


def new_node_id() -> str:
    """A node id that no other test of this process has."""
    return nodeid.from_mac(next(_macs).to_bytes(6, "big"))


class Pki:
    """An authority in a temporary folder, and credentials as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.create(folder / "pki")
        self.authority.issue_server(["localhost", "127.0.0.1"])
        issued = self.authority.issue_service()
        pair = self.authority.service
        self.service = Credential("fleet", pair.certificate, pair.key, issued.serial)
        self._revoked: list[Revoked] = []

    @property
    def ca(self) -> Path:
        """What a client trusts."""
        return self.authority.folder / "root.crt"

    def node(self, node_id: str = "", now: datetime | None = None) -> Credential:
        """A node's credential, made as the technician's machine makes it."""
        node_id = node_id or new_node_id()
        key, request = make_key_and_csr(node_id)
        authority = self.authority
        if now:
            authority = Authority.load(authority.folder, lambda: now)
        issued = authority.issue_node(request)
        return self._write(node_id, key_pem(key), issued.pem, issued.serial)

    def leaf(self, cn: str, signer: Signer | None = None) -> Credential:
        """A client certificate for any CN, by any signer, the grammar not asked."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = signer or self.signer()
        now = datetime.now(UTC)
        issued = profiles.client_leaf(profiles.NODE, cn, key.public_key(), signer, now)
        return self._write(cn, _pem(key), issued.pem, issued.serial)

    def signer(self) -> Signer:
        """The issuing CA, for certificates that the authority would not issue."""
        raw = (self.authority.folder / "issuing.key").read_bytes()
        key = serialization.load_pem_private_key(raw, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Signer(self.authority.issuing, key)

    def signer_of(self, credential: Credential) -> Signer:
        """A leaf's key used as if it were a CA's."""
        assert credential.certificate
        assert credential.key
        key = serialization.load_pem_private_key(credential.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Signer(x509.load_pem_x509_certificate(credential.certificate.read_bytes()), key)

    def revoke(self, credential: Credential) -> None:
        """Put a serial number on the revocation list."""
        now = datetime.now(UTC)
        self._revoked.append(Revoked(credential.serial, now, x509.ReasonFlags.key_compromise))
        self.authority.write_crl(self._revoked)

    def is_revoked(self, serial: int) -> bool:
        """The live set that the embedded broker asks."""
        return any(entry.serial == serial for entry in self._revoked)

    def _write(self, cn: str, key: bytes, certificate: bytes, serial: int) -> Credential:
        stem = self.folder / f"{serial:x}"
        stem.with_suffix(".crt").write_bytes(certificate)
        stem.with_suffix(".key").write_bytes(key)
        return Credential(cn, stem.with_suffix(".crt"), stem.with_suffix(".key"), serial)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Rig:
    """A running broker. `port` and `pki`; clients are made for it."""

    def __init__(self, folder: Path) -> None:
        self.pki = Pki(folder)
        self.port = 0

    def client(
        self, credential: Credential, client_id: str | None = None, **more: object
    ) -> Client:
        """A paho client, not yet connected."""
        return Client(self.port, self.pki.ca, credential, client_id, **more)  # type: ignore[arg-type]

    def raw(self, credential: Credential) -> RawClient:
        """A TLS connection for raw packets."""
        return RawClient(self.port, self.pki.ca, credential)

    def revoke(self, credential: Credential) -> None:
        """Revoke, and let the broker know by its own documented way."""
        self.pki.revoke(credential)

    def stop(self) -> None:
        """End the broker."""
        raise NotImplementedError


class AsyncioRig(Rig):
    """A broker in an event loop of its own thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(PATIENCE)

    async def start(self) -> None:
        """Start the broker and note its port."""
        raise NotImplementedError

    async def finish(self) -> None:
        """Stop the broker."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the broker, the loop and the thread."""
        asyncio.run_coroutine_threadsafe(self.finish(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)


class EmbeddedRig(AsyncioRig):
    """The fleet's embedded broker."""

    async def start(self) -> None:
        """Start the broker and note its port."""
        pki = self.pki.authority
        settings = BrokerSettings(pki.server.certificate, pki.server.key, pki.bundle_path)
        self.broker = EmbeddedBroker(settings, self.pki.is_revoked)
        await self.broker.start()
        self.port = self.broker.port

    async def finish(self) -> None:
        """Stop the broker."""
        await self.broker.stop()


class StockRig(AsyncioRig):
    """amqtt as it comes, with an authentication and a topic plugin as its manual shows them."""

    async def start(self) -> None:
        """Start the broker and note its port."""
        from amqtt.broker import Broker

        pki = self.pki.authority
        listener = {
            "type": "tcp",
            "bind": "localhost:0",
            "ssl": True,
            "cafile": str(pki.bundle_path),
            "certfile": str(pki.server.certificate),
            "keyfile": str(pki.server.key),
        }
        plugins: dict[str, object] = {"stock_plugins.CnIsClientId": {}, "stock_plugins.Topics": {}}
        self.broker = Broker({"listeners": {"default": listener}, "plugins": plugins})
        await self.broker.start()
        sockets = list(self.broker._servers["default"].instance.sockets)
        self.port = sockets[0].getsockname()[1]

    async def finish(self) -> None:
        """Stop the broker."""
        await self.broker.shutdown()


class MosquittoRig(Rig):
    """A Mosquitto of the system as a process of this test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        assert MOSQUITTO
        pki = self.pki.authority
        for _ in range(5):  # another process may take the port between choosing and listening
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            settings = MosquittoSettings(
                self.port, pki.server.certificate, pki.server.key, pki.bundle_path, pki.crl_path
            )
            conf = render(folder / "mosquitto", settings)
            self.log = folder / "mosquitto.log"
            with self.log.open("wb") as log:
                self._process = subprocess.Popen([MOSQUITTO, "-c", str(conf)], stderr=log)
            if self._listens():
                return
            self._process.wait(PATIENCE)
        raise AssertionError(self.log.read_text())

    def _listens(self) -> bool:
        limit = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < limit:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def revoke(self, credential: Credential) -> None:
        """Revoke, send SIGHUP, and wait until the main loop has come round to it."""
        super().revoke(credential)
        os.kill(self._process.pid, signal.SIGHUP)
        limit = time.monotonic() + PATIENCE
        while True:
            with self.client(credential) as client:
                if not client.connect():
                    return
            assert time.monotonic() < limit, self.log.read_text()

    def stop(self) -> None:
        """End the process that this rig started."""
        self._process.terminate()
        self._process.wait(PATIENCE)


def tls_versions(rig: Rig, version: ssl.TLSVersion, credential: Credential) -> bool:
    """Whether the broker speaks a TLS version with this client."""
    context = ssl.create_default_context(cafile=str(rig.pki.ca))
    context.load_cert_chain(credential.certificate or "", credential.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():  # the library advises against what is tested here
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection(("localhost", rig.port), timeout=PATIENCE) as tcp:
            context.wrap_socket(tcp, server_hostname="localhost").close()
    except OSError:
        return False
    return True
