"""Brokers that demand a client certificate and a stand-in for the fleet, to test the door."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from amqtt.broker import Broker
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.door_vm import HOST, NODE
from tests.support.pki import Pki

Messages = list[tuple[str, bytes]]


class _StrictBroker(Broker):
    """The stock class takes clients without a certificate too."""

    @staticmethod
    def _create_ssl_context(listener: Any) -> ssl.SSLContext:
        context = Broker._create_ssl_context(listener)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@asynccontextmanager
async def amqtt_broker(folder: Path, pki: Pki) -> AsyncIterator[int]:
    """The port of an amqtt broker in this process."""
    cert, key = pki.leaf("broker", dns=HOST).write(folder, "broker")
    listener = {
        "type": "tcp",
        "bind": "127.0.0.1:0",
        "ssl": True,
        "cafile": str(pki.write_bundle(folder)),
        "certfile": str(cert),
        "keyfile": str(key),
    }
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    broker = _StrictBroker({"listeners": {"default": listener}, "plugins": anonymous})
    await broker.start()
    try:
        server: Any = broker._servers["default"].instance
        yield server.sockets[0].getsockname()[1]
    finally:
        await broker.shutdown()


@asynccontextmanager
async def mosquitto_broker(folder: Path, pki: Pki) -> AsyncIterator[int]:
    """The port of a Mosquitto of its own; the test is skipped where there is none."""
    binary = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if binary is None:
        pytest.skip("needs the Debian package mosquitto")
    cert, key = pki.leaf("broker", dns=HOST).write(folder, "broker")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    conf = folder / "mosquitto.conf"
    conf.write_text(
        f"user root\nlog_dest stderr\nlistener {port} 127.0.0.1\n"
        f"cafile {pki.write_bundle(folder)}\ncertfile {cert}\nkeyfile {key}\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )
    process = await asyncio.create_subprocess_exec(
        binary, "-c", str(conf), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    try:
        async with asyncio.timeout(60):
            while b"running" not in (line := await process.stderr.readline()):
                assert line, "mosquitto ended"
        yield port
    finally:
        process.terminate()
        await process.communicate()


BROKERS = {"amqtt": amqtt_broker, "mosquitto": mosquitto_broker}


@asynccontextmanager
async def fleet(
    port: int, folder: Path, pki: Pki, answer: Callable[[bytes], Messages]
) -> AsyncIterator[Messages]:
    """What reports came; each is answered by the messages that `answer` gives for it."""
    reports: Messages = []
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    cert, key = pki.leaf("fleet").write(folder, "fleet")
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="fleet")
    client.tls_set(str(folder / "ca.crt"), str(cert), str(key))
    client.tls_insecure_set(True)  # the broker's name is the one that nodes know

    def on_connect(*_: Any) -> None:
        client.subscribe("k1/+/up/#", 1)

    def on_subscribe(*_: Any) -> None:
        loop.call_soon_threadsafe(ready.set)

    def on_message(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        data = bytes(message.payload)
        reports.append((message.topic, data))
        for topic, payload in answer(data):
            client.publish(topic, payload, 1)

    client.on_connect, client.on_subscribe, client.on_message = (
        on_connect,
        on_subscribe,
        on_message,
    )
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        await asyncio.wait_for(ready.wait(), 60)
        yield reports
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


def down(name: str, node: str = NODE) -> str:
    """A topic to a node."""
    return f"k1/{node}/down/{name}"
