"""`kapok coap` and `kapok serve` as processes: started, killed, ended, and nothing lost."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cli_rig
import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from coap_rig import PATIENCE, Link, Node
from fleet_here import FleetHere

from hil.fleet_process import die_with_parent


class Workers:
    """A running `kapok coap`."""

    def __init__(self, process: asyncio.subprocess.Process, line: bytes) -> None:
        self.process = process
        self.address: dict[str, Any] = json.loads(line)
        self.port: int = self.address["coap_port"]

    def pids(self) -> list[int]:
        """The workers that live."""
        pid = self.process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def kill_one(self) -> None:
        """kill -9, and wait until another one stands in its place."""
        before = set(self.pids())
        os.kill(min(before), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while len(set(self.pids()) - {min(before)}) < len(before):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def end(self, number: int) -> int:
        """Signal the supervisor; its exit code, once all workers are gone too."""
        workers = self.pids()
        self.process.send_signal(number)
        code = await self.process.wait()
        async with asyncio.timeout(PATIENCE):
            while any(is_alive(pid) for pid in workers):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return code


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    return False


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return cli_rig.initialised(tmp_path / "data")


@pytest_asyncio.fixture
async def workers(data: Path) -> AsyncIterator[Workers]:
    with data.with_name("coap.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet", "coap", "--port", "0", "--workers", "2", "--json",
            env={**os.environ, "KAPOK_DATA": str(data)},
            stdout=asyncio.subprocess.PIPE, stderr=log, preexec_fn=die_with_parent,
        )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        line = await process.stdout.readline()
    yield Workers(process, line)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def reports(link: Link, node: Node, count: int) -> None:
    for n in range(1, count + 1):
        answer = await link.deliver(node, fleet_rig.make_report(1, [n]))
        assert str(answer.code) == "2.04 Changed"


def get(run: dict[str, Any], path: str) -> str:
    """What the API answers."""
    with urllib.request.urlopen(run["api"] + path, timeout=PATIENCE) as answer:  # noqa: S310  # noqa: S310
        text: str = answer.read().decode()
        return text


def everything(nodes: list[Node], count: int) -> dict[tuple[str, int, int], int]:
    return {(node.node_id, 1, n): 1 for node in nodes for n in range(1, count + 1)}


async def test_workers_killed_again_and_again_lose_nothing(data: Path, workers: Workers) -> None:
    """Beside `kapok serve --coap-port off`, which shows what they store."""
    fleet = FleetHere(data, "--port", "0", "--broker-port", "0", "--coap-port", "off")
    run = await fleet.start()
    assert "coap_port" not in run
    nodes = coap_rig.provision(data, 8)
    links = [Link(workers.port) for _ in nodes]
    sending = [
        asyncio.create_task(reports(link, node, 40))
        for link, node in zip(links, nodes, strict=True)
    ]
    for _ in range(2):
        await workers.kill_one()
    await asyncio.gather(*sending)
    assert dict(fleet_rig.stored(data / "kapok.db")) == everything(nodes, 40)
    shown = await asyncio.to_thread(get, run, f"/api/readings?node={nodes[0].node_id}")
    assert len(json.loads(shown)["readings"]) == 40
    assert await workers.end(signal.SIGTERM) == 0
    assert await fleet.stop() == 0
    log = data.with_name("coap.log").read_text()
    assert log.count("a worker ended") == 2
    assert "Traceback" not in log


async def test_a_port_is_one_s_and_a_supervisor_that_is_killed_leaves_no_worker(
    data: Path, workers: Workers
) -> None:
    assert workers.address["workers"] == 2
    assert workers.address["coap_host"] == "127.0.0.1"
    for words in (
        ("coap", "--port", workers.port),
        ("serve", "--port", 0, "--broker-port", 0, "--enrol-port", 0, "--updates-port", 0,
         "--coap-port", workers.port),
    ):  # fmt: skip
        said = await asyncio.to_thread(cli_rig.refusal, data, *words)
        assert f"CoAP cannot listen on 127.0.0.1:{workers.port}: Address already in use" in said
    assert await workers.end(signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("coap", "--port", "abc"), "coap.port is a port number or 'off'"),
        (("coap", "--port", "65536"), "coap.port is a port number"),
        (("coap", "--port", "off"), "give a port"),
        (("coap", "--workers", "0"), "--workers takes 1 to 64"),
        (("serve", "--coap-port", "-1"), "coap.port is a port number or 'off'"),
    ],
)
def test_wrong_values_are_said_in_one_line(data: Path, words: tuple[str, ...], says: str) -> None:
    assert says in cli_rig.refusal(data, *words)


async def test_serve_answers_by_coap_beside_the_rest(data: Path) -> None:
    (node,) = coap_rig.provision(data, 1)
    fleet = FleetHere(data, "--port", "0", "--broker-port", "0", "--coap-port", "0")
    run = await fleet.start()
    assert run["coap_host"] == "127.0.0.1"
    link = Link(run["coap_port"])
    await reports(link, node, 3)
    assert json.loads(await asyncio.to_thread(get, run, "/healthz"))["coap"] is True
    assert 'kapok_coap_total{kind="stored"} 3.0' in await asyncio.to_thread(get, run, "/metrics")
    assert await fleet.stop() == 0
    assert dict(fleet_rig.stored(data / "kapok.db")) == everything([node], 3)
