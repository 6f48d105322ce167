"""No two answers under one nonce, whatever comes in whatever order, through any restarts."""

import asyncio
import random
from pathlib import Path

import coap_rig
import fleet_rig
import nonces
import pytest
from aiocoap import CHANGED, UNAUTHORIZED
from coap_rig import Node, Rig

from fleet.coap import contexts
from fleet.control import operations as control
from fleet.uplink import batches

STEPS = 120


class Town:
    """Some nodes that report, and somebody who records all of it and sends it again."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.chance = random.Random(seed)
        self.nodes = [rig.node() for _ in range(4)]
        self.recorded: list[bytes] = []
        self.told: dict[Node, int] = {}
        self.sent: dict[Node, int] = {}

    async def step(self) -> None:
        """One thing happens."""
        do = self.chance.choices(
            [self.report, self.poll, self.replay, self.crowd, self.restart, self.distrust,
             self.enqueue, self.fail],
            [10, 4, 10, 3, 1, 1, 4, 1],
        )[0]  # fmt: skip
        await do()

    async def report(self) -> None:
        node = self.chance.choice(self.nodes)
        n = self.sent[node] = self.sent.get(node, 0) + 1
        await self._ask(node, fleet_rig.make_report(1, [n]))

    async def poll(self) -> None:
        await self._ask(self.chance.choice(self.nodes), b"")

    async def replay(self) -> None:
        """Several recordings at once, from an address of the recorder's."""
        link = self.rig.link(f"127.0.0.{self.chance.randrange(2, 250)}")
        if self.recorded:
            for raw in self.chance.choices(self.recorded, k=3):
                link.send(raw)
            await link.receive()
        link.close()

    async def crowd(self) -> None:
        """One datagram from many ports in the same moment."""
        raw, _ = self.chance.choice(self.nodes).seal()
        links = [self.rig.link() for _ in range(5)]
        for link in links:
            link.send(raw)
        await asyncio.gather(*(link.receive() for link in links))
        self.recorded.append(raw)

    async def restart(self) -> None:
        await self.rig.stop()
        self.rig.links.clear()
        await self.rig.start()

    async def distrust(self) -> None:
        self.rig.distrust()
        self.rig.server.contexts._proven.clear()

    async def enqueue(self) -> None:
        """So that the next answer is another one."""
        node = self.chance.choice(self.nodes)
        with self.rig.database.begin() as session:
            control.enqueue(session, node.node_id, control.COMMAND, self.chance.randbytes(9))

    async def fail(self) -> None:
        """The database goes for a moment, and a node asks."""
        aside = self.rig.path.with_suffix(".aside")
        self.rig.path.rename(aside)
        raw, _ = self.chance.choice(self.nodes).seal()
        link = self.rig.link()
        await link.exchange(raw)
        aside.rename(self.rig.path)
        self.recorded.append(raw)
        await asyncio.sleep(0.03)

    async def _ask(self, node: Node, payload: bytes) -> None:
        link = self.rig.link()
        options: dict[str, bytes] = {}
        for _ in range(6):
            raw, request = node.seal(payload, **options)
            answer = node.open(await link.exchange(raw), request)
            self.recorded.append(raw)
            if answer.code == CHANGED:
                break
            assert answer.code == UNAUTHORIZED or str(answer.code).startswith("5.03")
            options = {"echo": answer.opt.echo} if answer.opt.echo else {}
        else:
            raise AssertionError(f"a node is not heard: {answer}")
        link.close()


@pytest.mark.parametrize("seed", [2, 3])
async def test_attack_no_nonce_seals_two_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(contexts, "STALE_S", 0.0)
    monkeypatch.setattr(batches, "RETRY_S", (0.01, 0.02))
    recorder = nonces.record(monkeypatch)
    async with coap_rig.serving(tmp_path) as rig:
        town = Town(rig, seed)
        for _ in range(STEPS):
            await town.step()
        assert recorder.reused() == 0
        assert len(recorder.sealed) > STEPS / 4
        assert rig.stored() == {
            (node.node_id, 1, n) for node, sent in town.sent.items() for n in range(1, sent + 1)
        }
