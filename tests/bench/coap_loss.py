"""The loss campaign of the CoAP door: `make soak-coap`, or with ARGS a smaller one.

Nodes report through an air that loses 30 % of the datagrams each way, while `kapok serve` is
killed and nodes lose power. Then the database is asked: whether each record is there, once. Every
nonce is recorded. `--sabotage` saves sender numbers after their use, and must find one reused.
"""

import argparse
import asyncio
import contextlib
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import coap_rig

from fleet.db.base import Database
from fleet.identity import oscore
from fleet.settings import load
from fleet.setup import init
from hil.fleet_process import FleetProcess
from tests.bench import coap_nodes
from tests.bench.coap_air import Weather
from tests.bench.coap_nodes import Node
from tests.bench.coap_nonces import Nonces
from tests.bench.coap_verdict import Verdict, verdict

HOST = "127.0.0.1"
PROGRESS_S = 10.0
DRAIN_S = 120.0
DISTRUST = 10  # one kill of so many looks like a restored backup: replay windows are unknown


@dataclass(frozen=True)
class Plan:
    """How much, and how much goes wrong."""

    reports: int
    nodes: int
    kills: int
    cuts: int
    seed: int
    drain_s: float  # real time for what is in the journals at the end


class Campaign:
    """One run on the data folder `data`."""

    def __init__(self, plan: Plan, data: Path) -> None:
        self.plan = plan
        self.nonces = Nonces()
        self.delivered = self.kills = self.cuts = 0
        self._armed = 0
        self._data = data
        self._random = random.Random(plan.seed)
        self._port = free_port()
        self._fleet = FleetProcess(
            data, "--port", "0", "--broker-port", "0", "--coap-port", str(self._port)
        )
        self._stopped = asyncio.Event()
        self.nodes: list[Node] = []

    async def run(self) -> Verdict:
        """Until everything of the plan has happened and every journal is empty."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._stopped.set)
        enrolled = coap_rig.provision(self._data, self.plan.nodes)
        await self._fleet.start()
        for n, known in enumerate(enrolled):
            # An address each, as the fleet limits what comes from one.
            address = f"127.1.{n // 250}.{n % 250 + 1}"
            seed = self._random.getrandbits(32)
            self.nodes.append(
                coap_nodes.make(known, (HOST, self._port), address, Weather(), self.nonces, seed)
            )
        telling = asyncio.create_task(self._tell())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._kill())
                for node in self.nodes:
                    group.create_task(self._live(node))
            async with asyncio.timeout(self.plan.drain_s), asyncio.TaskGroup() as group:
                for node in self.nodes:
                    group.create_task(_drain(node))
        except TimeoutError:
            print(f"journals were not empty after {self.plan.drain_s:.0f} s")
        finally:
            telling.cancel()
            await self._fleet.stop()
            for node in self.nodes:
                node.air.close()
        return verdict(self._data / "kapok.db", self._fleet.log, self.nodes)

    def counts(self) -> Counter[str]:
        """Of all nodes and their air."""
        return sum((node.counts + node.air.counts for node in self.nodes), Counter())

    @property
    def is_stopped(self) -> bool:
        """By Ctrl-C."""
        return self._stopped.is_set()

    @property
    def is_done(self) -> bool:
        """Whether everything of the plan has happened."""
        plan = self.plan
        return (
            self.delivered >= plan.reports and self.kills >= plan.kills and self.cuts >= plan.cuts
        )

    async def _live(self, node: Node) -> None:
        draw = random.Random(self._random.getrandbits(32))
        while not (self.is_done or self.is_stopped):
            await asyncio.sleep(draw.uniform(0, 0.1))
            records = draw.randint(1, 3)
            if self._cut_is_due():
                self._armed += 1
                delivered = await node.wake_cut(records)
                self.cuts += 1
            else:
                delivered = await node.wake(records)
            self.delivered += delivered

    def _cut_is_due(self) -> bool:
        plan = self.plan
        due = plan.cuts * self.delivered / plan.reports
        return self._armed < min(due, plan.cuts)

    async def _kill(self) -> None:
        plan = self.plan
        while self.kills < plan.kills and not self.is_stopped:
            due = plan.reports * (self.kills + self._random.random()) / plan.kills
            while self.delivered < due and not self.is_stopped:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # from any moment of a commit
            await asyncio.sleep(self._random.uniform(0, 0.05))
            await self._fleet.kill()
            self.kills += 1
            if self.kills % DISTRUST == 1:
                self._distrust()
            await self._fleet.start()

    def _distrust(self) -> None:
        url = load(self._data).database_url
        with contextlib.closing(Database(url)) as database, database.begin() as session:
            oscore.distrust(session, None)

    async def _tell(self) -> None:
        began = time.monotonic()
        before = 0
        while True:
            await asyncio.sleep(PROGRESS_S)
            rate = (self.delivered - before) / PROGRESS_S
            before = self.delivered
            print(
                f"{time.monotonic() - began:5.0f} s: {self.delivered} reports, {rate:.0f}/s,"
                f" kills {self.kills}, cuts {self.cuts}, nonces {len(self.nonces)},"
                f" reused {self.nonces.reused}",
                flush=True,
            )


async def _drain(node: Node) -> None:
    await node.wake(0)
    while node.depth:
        await node.wake(0)


def free_port() -> int:
    """A UDP port that is free and that the kernel gives to nobody else while the fleet is down."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock,
        ):
            sock.bind(("::", port))
            return port


async def measured(plan: Plan) -> tuple[Campaign, Verdict]:
    """Run it, and tell."""
    with tempfile.TemporaryDirectory(prefix="kapok-loss-") as name:
        init(Path(name) / "data")
        campaign = Campaign(plan, Path(name) / "data")
        began = time.monotonic()
        found = await campaign.run()
        seconds = time.monotonic() - began
    nonces = campaign.nonces
    sensed = sum(len(node.sensed.sure) for node in campaign.nodes)
    print(f"{seconds:.0f} s; {dict(sorted(campaign.counts().items()))}")
    print(
        f"records sensed {sensed}, stored {found.records}, of nobody {found.strange};"
        f" faults in the fleet's log {found.faults};"
        f" sealed requests {nonces.requests}, {nonces.repeated} of them twice; protected answers"
        f" {nonces.answers}, of them challenges {nonces.challenges}, of no request"
        f" {nonces.unmatched}"
    )
    print(
        f"reports {campaign.delivered} records {sensed} stored {found.records} lost {found.lost}"
        f" duplicated {found.duplicated} nonces {len(nonces)} reused {nonces.reused}"
        f" kills {campaign.kills} cuts {campaign.cuts}",
        flush=True,
    )
    return campaign, found


def is_sound(campaign: Campaign, found: Verdict) -> bool:
    """Whether all of it was done, and nothing was lost, stored twice, or sealed twice."""
    nonces = campaign.nonces
    wrong = found.lost + found.duplicated + found.strange + found.faults
    wrong += nonces.reused + nonces.repeated + nonces.unmatched
    return not wrong and campaign.is_done and not campaign.is_stopped


def main() -> None:
    """Exit code 0: nothing was lost, nothing stored twice, no nonce used twice; of a sabotage that
    one was.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sabotage", action="store_true", help="save numbers after their use")
    given = parser.parse_args()
    if given.sabotage:
        coap_nodes.sabotage()
    drain_s = 1.0 if given.sabotage else DRAIN_S  # what was lost does not come
    plan = Plan(given.reports, given.nodes, given.kills, given.cuts, given.seed, drain_s)
    campaign, found = asyncio.run(measured(plan))
    good = campaign.nonces.reused > 0 if given.sabotage else is_sound(campaign, found)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
