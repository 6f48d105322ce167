"""The octets that a battery node's reports may take on the air, IP and UDP headers included."""

from pathlib import Path

from hil.virtual import scenes
from tests.bench.bytes import DAY, ONE, ONE_DAY, START_US, WAIT_S, Town, octets


async def test_reports_by_datagram_keep_to_their_octets(tmp_path: Path) -> None:
    async with Town(tmp_path) as town:
        for family in ("bc660k", "bc95"):
            async with town.node(family, "coap", 1) as (node, meter):
                one = octets(await meter.contacts(3, WAIT_S), 1)
                assert one.most_up <= ONE.up
                assert one.most_down <= (ONE.down or 0)
                assert not node.twin.air.connected  # released with the answer
        scene = scenes.gas_meter(START_US, 2)
        scene.config["freeze_days"] = 0  # 24 readings and no more
        async with town.node("bc660k", "coap", DAY, scene) as (_, meter):
            assert octets(await meter.contacts(1, WAIT_S), DAY).most_up <= ONE_DAY.up
