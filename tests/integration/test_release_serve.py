"""A fleet that serves makes the deltas that are wanted, beside its other work."""

import asyncio
import json
from pathlib import Path

from fleet_here import FleetHere
from release_rig import keys, small

from fleet.releases import bundle


async def test_deltas_are_made_while_it_serves_and_after_it_was_killed(tmp_path: Path) -> None:
    fleet = FleetHere(
        tmp_path / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "off"
    )
    await fleet.command("init")
    (tmp_path / "trust").write_bytes(keys().trust)
    await fleet.command("release", "keys", "install", str(tmp_path / "trust"))

    async def promote(sequence: int) -> None:
        path = tmp_path / "made.kapok"
        bundle.write(path, small(sequence, app=bytes(range(256)) * 30))
        await fleet.command("release", "promote", str(path))

    async def ready(count: int) -> None:
        async with asyncio.timeout(240):
            while True:
                rows = json.loads(await fleet.command("release", "delta", "list", "--json"))
                if [row["state"] for row in rows] == ["ready"] * count:
                    return
                await asyncio.sleep(0.5)

    await promote(7)
    await promote(8)
    await fleet.start()
    await ready(1)
    await promote(9)
    await fleet.kill()
    await fleet.start()
    await ready(3)
    await fleet.stop()
