"""Entry of the rescue image, which runs when no slot starts: it links up, says so to the fleet in
a report without records, and takes what the fleet has for the node, a release above all. Where the
file system is lost it makes it anew, once the fleet knows. No roles, no journal.
"""

import gc

gc.threshold(4096)

import asyncio  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import machine  # noqa: E402
from micropython import const  # noqa: E402
from node import clock, config  # noqa: E402
from node.errors import ConfigError, DeliverTimeout, NodeError  # noqa: E402
from node.modules import forget  # noqa: E402
from node.store.rtcstate import RtcState  # noqa: E402
from node.wire import compact, receipt, uplink  # noqa: E402

_EPOCH = const(1)  # of reports without records: no journal's, and none is needed
_RESCUED = const(4)  # the status's error code: the slot did not start
_FILES_LOST = const(5)  # the file system does not mount: it is made anew, and the journal is gone
_CLOSE_MS = const(15_000)  # kept of the cap for shutting the link down
_FETCH_MOST = const(4096)  # bytes of an item
_SPARE_MS = const(3_000)
_RETRY_S = const(60)
_RETRY_MOST_S = const(21600)


def run() -> None:
    """One wake and a deep sleep. The next boot tries the slot again."""
    asyncio.run(_run())


async def _run() -> None:
    values = config.load()
    woke = time.ticks_ms()
    machine.WDT(timeout=values["awake_s"] * 1000)
    state = RtcState(machine.RTC().memory)
    state.load()
    # Also for the slot's first report, should it start one day.
    lost = _lost()
    state.set("error", _FILES_LOST if lost else _RESCUED)
    state.set("cause", 0)
    items: list = []
    fails = state.get("rescue", 0)
    try:
        cap_ms = values["awake_s"] * 1000 - _CLOSE_MS
        await asyncio.wait_for_ms(_contact(values, state, items, cap_ms), cap_ms)
        fails, wait = 0, max(values["report_s"], 3600)
    except (asyncio.TimeoutError, NodeError):
        wait = min(_RETRY_S << min(fails, 10), _RETRY_MOST_S)
        # A quarter of jitter, so that a street that lost its cell does not come back as one.
        wait += wait * os.urandom(1)[0] // 1024
        fails += 1
    forget("node.link node.update")
    if config.on_trial():
        _judge(not fails)
    state.set("rescue", fails)
    if lost and not fails:
        _restore()
    if items:
        _obey(items, values["node"])
        state.set("upd", None)
    state.save()
    left_ms = values["awake_s"] * 1000 - time.ticks_diff(time.ticks_ms(), woke)
    if not fails and state.get("upd") != 0:
        _update(state, values, left_ms)
        held = state.get("upd")
        if held and held[0]:
            wait = min(wait, max(held[2] - clock.now(), _RETRY_S))
    state.save()
    machine.deepsleep(wait * 1000)


async def _contact(values: dict, state, items: list, cap_ms: int) -> None:
    from node.link.session import Session

    began = time.ticks_ms()

    link = Session(values, state)
    try:
        await link.open()
        seconds = await link.network_time()
        if seconds is not None and seconds >= clock.FLOOR:
            clock.set(seconds)
            state.set("clock_sure", 1)  # an update asks for that: it has an end
        elif not clock.is_set():
            clock.set(clock.FLOOR)
        standing = _standing()
        report = _report(standing, state)
        door = await link.door()
        whole = receipt.encode(_EPOCH, [])
        held = state.get("upd")
        waits = held and held[0] and clock.now() >= held[2]
        answer = receipt.decode(await door.deliver(report, whole, door.RECEIPT_MS, not waits))
        if answer.time and not state.get("clock_sure"):
            clock.set(answer.time)
            state.set("clock_sure", 1)
        done = standing[1]
        for item in answer.items:
            if item[0] > done:
                if not isinstance(item[2], bytes) and item[2] <= _FETCH_MOST:
                    item[2] = await door.fetch(item[0], item[2], door.RECEIPT_MS)
                items.append(item)
                done = item[0]
        if waits:
            from node.update import fetching

            left_ms = cap_ms - time.ticks_diff(time.ticks_ms(), began)
            await fetching.go_on(state, link, door, left_ms - _SPARE_MS)
    except uplink.ReportError as e:
        raise DeliverTimeout("no receipt: %s" % e)
    finally:
        await link.close()


def _report(standing: "list[int]", state) -> bytes:
    status = {uplink.RESET_CAUSE: machine.reset_cause(), uplink.ERROR: state.get("error")}
    with open(sys.path[0] + "/digest", "rb") as file:
        # This application's own, so that the fleet sends no difference to what ran before.
        status[uplink.IMAGE] = int.from_bytes(file.read(4), "big")
    status[uplink.RELEASE] = 0
    if not state.get("clock_sure"):
        status[uplink.ASKS_TIME] = 1
    for key, value in zip((uplink.STAGE, uplink.MARK), state.get("upd") or ()):
        if value:
            status[key] = value
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


def _obey(items: list, node: str) -> None:
    from node import downlink

    try:
        # Results are not told from here: there is no journal. What runs in the end the fleet sees.
        downlink.handle(items, [], None, node)
    except ConfigError:
        pass  # NVS does not take it: the fleet will give it again
    forget("node.downlink node.update node.link")


def _lost() -> bool:
    from node.update import restore

    found = restore.lost()
    forget("node.update")
    return found


def _restore() -> None:
    from node.update import restore

    try:
        restore.restore()
    except OSError as e:
        sys.print_exception(e)  # the next boot comes here again
    forget("node.update")


def _update(state, values: dict, left_ms: int) -> None:
    from node.update import work

    if work.go_on(state, values, [], left_ms):
        state.save()
        machine.reset()
    forget("node.update")
