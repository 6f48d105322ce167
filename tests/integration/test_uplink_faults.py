"""The whole uplink over real brokers: killed, locked out and cut off, it stores all once."""

import asyncio
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fleet_here import FleetHere
from ingest_rig import AREA, NODE, once, report_of, stored
from mqtt_peers import Client, Credential

from fleet.identity.client import key_pem, make_key_and_csr
from fleet.wire import receipt
from hil.fleet_process import FleetError, FleetProcess
from tests.bench.mosquitto_process import MosquittoProcess

DEADLINE = 60.0  # s for anything awaited here; a machine under load starts slowly


class Thread:
    """A data folder with one node enrolled through the command line, and that node as a client."""

    def __init__(self, folder: Path, kind: type[FleetProcess]) -> None:
        self.data = folder / "data"
        self.folder = folder
        self.fleet = kind(self.data, "--port", "0", "--broker-port", "0", "--coap-port", "0")
        self.run: dict[str, Any] = {}
        self.credential = Credential(NODE, folder / "node.crt", folder / "node.key")

    async def enrol(self) -> None:
        key, request = make_key_and_csr(NODE)
        (self.folder / "node.key").write_bytes(key_pem(key))
        (self.folder / "node.csr").write_bytes(request)
        await self.fleet.command("init")
        await self.fleet.command("area", "add", AREA, "Tianhe")
        await self.fleet.command(
            "node", "add", NODE, "--role", "drainage", "--area", AREA,
            "--csr", str(self.folder / "node.csr"), "--cert-out", str(self.folder / "node.crt"),
        )  # fmt: skip

    async def start(self) -> None:
        """Start the fleet and wait until reports can come."""
        self.run = await self.fleet.start()
        await until(lambda: self.get("/healthz")[0] == 200)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.run["api"] + path, timeout=DEADLINE) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def metric(self, kind: str) -> float:
        """A counter of /metrics by its label."""
        for line in self.get("/metrics")[1].splitlines():
            if f'kind="{kind}"' in line and not line.startswith("#"):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def client(self, port: int) -> Client:
        return Client(port, self.data / "pki" / "root.crt", self.credential)

    def receipted(self, client: Client) -> set[int]:
        """The sequence numbers of the receipts that have come."""
        return {
            n
            for topic, payload in list(client.inbox)
            if topic == f"k1/{NODE}/down/receipt"
            for first, last in receipt.decode(payload).ranges
            for n in range(first, last + 1)
        }


async def until(true: Callable[[], bool]) -> None:
    """Wait for a fact in another process, which has no event to wait for."""
    async with asyncio.timeout(DEADLINE):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def thread(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Thread]:
    made = Thread(tmp_path, getattr(request, "param", FleetHere))
    await made.enrol()
    yield made
    await made.fleet.kill()


@pytest_asyncio.fixture
async def mosquitto(thread: Thread) -> AsyncIterator[MosquittoProcess]:
    if not (shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")):
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    folder = thread.folder / "mosquitto"
    folder.mkdir()
    broker = MosquittoProcess(folder, thread.data / "pki")
    await broker.start()
    thread.fleet.settings = (
        "--port", "0", "--coap-port", "0", "--broker", f"localhost:{broker.port}",
    )  # fmt: skip
    yield broker
    await broker.kill()


async def test_killed_with_unacknowledged_messages_it_stores_all_once(
    thread: Thread, mosquitto: MosquittoProcess
) -> None:
    """kill -9 between taking messages from the broker and committing them."""
    await thread.start()
    lock = sqlite3.connect(thread.data / "kapok.db", isolation_level=None)
    with closing(lock), thread.client(mosquitto.port) as node:
        assert await asyncio.to_thread(node.connect)
        await asyncio.to_thread(node.subscribe, f"k1/{NODE}/down/#")
        lock.execute("BEGIN EXCLUSIVE")
        for n in range(1, 41):
            await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", report_of([n, n + 1]))
        await until(lambda: "does not take a batch" in thread.fleet.log.read_text())
        await thread.fleet.kill()
        lock.execute("ROLLBACK")
        assert stored(thread.data) == []
        assert thread.receipted(node) == set()
        await thread.start()
        await until(lambda: thread.receipted(node) == set(range(1, 42)))
    assert stored(thread.data) == once(NODE, range(1, 42))


async def test_killed_again_and_again_it_stores_all_once(
    thread: Thread, mosquitto: MosquittoProcess
) -> None:
    """Reports flow while the fleet is killed three times; the node repeats what has no receipt."""
    await thread.start()
    everything = set(range(1, 301))
    with thread.client(mosquitto.port) as node:
        assert await asyncio.to_thread(node.connect)
        await asyncio.to_thread(node.subscribe, f"k1/{NODE}/down/#")
        for _kill in range(3):
            for n in sorted(everything):
                await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", report_of([n]))
                if n % 100 == 50:
                    break
            await thread.fleet.kill()
            await thread.start()
        async with asyncio.timeout(DEADLINE):
            while waiting := sorted(everything - thread.receipted(node)):
                payload = report_of(waiting[:200])
                await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", payload)
                await asyncio.sleep(0.1)
    assert stored(thread.data) == once(NODE, everything)


async def test_a_broker_that_is_killed_comes_back_to_a_waiting_fleet(
    thread: Thread, mosquitto: MosquittoProcess
) -> None:
    await thread.start()
    await mosquitto.kill()
    await until(lambda: thread.get("/healthz")[0] == 503)
    await mosquitto.start()
    await until(lambda: thread.get("/healthz")[0] == 200)
    with thread.client(mosquitto.port) as node:
        assert await asyncio.to_thread(node.connect)
        await asyncio.to_thread(node.subscribe, f"k1/{NODE}/down/#")
        await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", report_of([1]))
        await until(lambda: thread.receipted(node) == {1})
    assert stored(thread.data) == once(NODE, [1])
    assert await thread.fleet.stop() == 0


async def test_a_broker_that_cannot_be_reached_is_said_once(thread: Thread) -> None:
    thread.fleet.settings = ("--port", "0", "--coap-port", "0", "--broker", "localhost:1")
    thread.run = await thread.fleet.start()
    await until(lambda: thread.metric("broker unreachable") >= 2)
    assert thread.get("/healthz")[0] == 503
    assert thread.fleet.log.read_text().count("cannot be reached") == 1
    assert await thread.fleet.stop() == 0


@pytest.mark.parametrize("thread", [FleetProcess], indirect=True)  # by the commands of a person
async def test_the_embedded_broker_from_init_to_readings(thread: Thread) -> None:
    await thread.start()
    with thread.client(thread.run["broker_port"]) as node:
        assert await asyncio.to_thread(node.connect)
        await asyncio.to_thread(node.subscribe, f"k1/{NODE}/down/#")
        await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", b"no report")
        for _ in range(2):
            await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", report_of([1, 2, 3]))
        await until(lambda: thread.receipted(node) == {1, 2, 3})
    assert stored(thread.data) == once(NODE, [1, 2, 3])
    await until(lambda: thread.metric("readings") == 3)
    assert thread.metric("undecodable") == 1
    assert "100.001 m" in thread.get(f"/api/readings?node={NODE}")[1]
    assert "100.001 m" in await thread.fleet.command("readings", "--node", NODE)

    second = FleetProcess(thread.data, "--port", "0", "--broker-port", "0", "--coap-port", "0")
    second.log = thread.folder / "second.log"
    run = (thread.data / "run.json").read_text()
    with pytest.raises(FleetError, match="another kapok serve runs"):
        await second.start()
    assert second.log.read_text().count("\n") == 1

    (thread.data / "run.json").write_text(run)  # the helper clears it before a start
    assert await thread.fleet.stop() == 0
    assert not (thread.data / "run.json").exists()


async def test_attack_report_of_a_node_revoked_while_connected(thread: Thread) -> None:
    await thread.start()
    with thread.client(thread.run["broker_port"]) as node:
        assert await asyncio.to_thread(node.connect)
        await thread.fleet.command("node", "revoke", NODE)
        await asyncio.to_thread(node.publish, f"k1/{NODE}/up/report", report_of([1]))
        assert await asyncio.to_thread(node.ended.wait, DEADLINE)  # the broker cuts it off
    assert stored(thread.data) == []
    with thread.client(thread.run["broker_port"]) as node:
        assert not await asyncio.to_thread(node.connect)
