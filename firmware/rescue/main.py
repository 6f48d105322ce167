"""Entry of the rescue image, which runs when no slot starts: it links up, says so to the fleet in
a report without records, and takes what the fleet has for the node. No roles, no journal.
"""

import gc

gc.threshold(4096)

import asyncio  # noqa: E402
import os  # noqa: E402

import machine  # noqa: E402
from micropython import const  # noqa: E402
from node import clock, config  # noqa: E402
from node.errors import ConfigError, DeliverTimeout, NodeError  # noqa: E402
from node.modules import forget  # noqa: E402
from node.store.rtcstate import RtcState  # noqa: E402
from node.wire import compact, receipt, uplink  # noqa: E402

_EPOCH = const(1)  # of reports without records: no journal's, and none is needed
_RESCUED = const(4)  # the status's error code: the slot did not start
_CLOSE_MS = const(15_000)  # kept of the cap for shutting the link down
_FETCH_MOST = const(4096)  # bytes of an item
_RETRY_S = const(60)
_RETRY_MOST_S = const(21600)


def run() -> None:
    """One wake and a deep sleep. The next boot tries the slot again."""
    asyncio.run(_run())


async def _run() -> None:
    values = config.load()
    machine.WDT(timeout=values["awake_s"] * 1000)
    state = RtcState(machine.RTC().memory)
    state.load()
    # Also for the slot's first report, should it start one day.
    state.set("error", _RESCUED)
    state.set("cause", 0)
    items: list = []
    fails = state.get("rescue", 0)
    try:
        cap_ms = values["awake_s"] * 1000 - _CLOSE_MS
        await asyncio.wait_for_ms(_contact(values, state, items), cap_ms)
        fails, wait = 0, max(values["report_s"], 3600)
    except (asyncio.TimeoutError, NodeError):
        wait = min(_RETRY_S << min(fails, 10), _RETRY_MOST_S)
        # A quarter of jitter, so that a street that lost its cell does not come back as one.
        wait += wait * os.urandom(1)[0] // 1024
        fails += 1
    forget("node.link")
    if config.on_trial():
        _judge(not fails)
    state.set("rescue", fails)
    if items:
        _obey(items)
    state.save()
    machine.deepsleep(wait * 1000)


async def _contact(values: dict, state, items: list) -> None:
    from node.link.session import Session

    link = Session(values, state)
    try:
        await link.open()
        seconds = await link.network_time()
        if seconds is not None and seconds >= clock.FLOOR:
            clock.set(seconds)
        elif not clock.is_set():
            clock.set(clock.FLOOR)
        standing = _standing()
        report = _report(standing)
        door = await link.door()
        whole = receipt.encode(_EPOCH, [])
        answer = receipt.decode(await door.deliver(report, whole, door.RECEIPT_MS, True))
        done = standing[1]
        for item in answer.items:
            if item[0] > done:
                if not isinstance(item[2], bytes) and item[2] <= _FETCH_MOST:
                    item[2] = await door.fetch(item[0], item[2], door.RECEIPT_MS)
                items.append(item)
                done = item[0]
    except uplink.ReportError as e:
        raise DeliverTimeout("no receipt: %s" % e)
    finally:
        await link.close()


def _report(standing: "list[int]") -> bytes:
    status = {uplink.RESET_CAUSE: machine.reset_cause(), uplink.ERROR: _RESCUED}
    for key, value in enumerate(standing, uplink.APPLIED):
        if value:
            status[key] = value
    return compact.encode(_EPOCH, clock.now(), [], status)


def _standing() -> "list[int]":
    from node import downlink

    found = downlink.standing()
    forget("node.downlink")
    return found


def _judge(reached: bool) -> None:
    # A configuration is on trial until the fleet was reached with it, whoever reaches it.
    from node import configure

    if reached:
        configure.proved()
    else:
        configure.failed()
    forget("node.configure")


def _obey(items: list) -> None:
    from node import downlink

    try:
        downlink.handle(items)
    except ConfigError:
        pass  # NVS does not take it: the fleet will give it again
