"""A driver with a UDP peer over a modem twin, in jumping time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from contact import State, driver
from modem_bench import Bench, jumping
from twin_play import UdpEcho

from hil.virtual.modem import ModemTwin
from hil.virtual.modem.scenario import Scenario

PINS = ("psm_exit", "pwrkey", "dtr")
Case = Callable[[Any, Bench, UdpEcho], Awaitable[None]]


def contact(family: str, case: Case, scenario: Scenario, seed: int = 1) -> None:
    """The family's driver, awake and attached; then `case(modem, bench, peer)`."""

    async def main() -> None:
        async with UdpEcho() as peer:
            bench = Bench(ModemTwin(family, seed=seed, scenario=scenario, attach_delay_s=(1, 1)))
            bench.twin.power_on()
            modem = driver(family, bench, PINS)
            await modem.wake(State())
            await modem.attach("", 180_000)
            await case(modem, bench, peer)
            await modem.sleep()
            bench.twin.power_off()
            await asyncio.sleep(0)
            assert bench.sockets == 0

    jumping(main)


async def gather(socket: Any, seconds: float) -> list[bytes]:
    """All datagrams until none came for so long."""
    got = []
    while True:
        try:
            got.append(await asyncio.wait_for(socket.recv(), seconds))
        except TimeoutError:
            return got
