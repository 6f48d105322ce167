"""The twin's own firmware: fetched by each family's command, written behind a restart."""

import asyncio

import pytest
from file_server import FileServer
from modem_bench import Bench
from twin_play import ERROR, ask, attached, play

from hil.virtual.modem import State
from hil.virtual.modem.fota import FotaOptions, package
from hil.virtual.modem.scenario import Scenario

NEW = "VERSION_B02"
COMMANDS = {
    "ec200": 'AT+QFOTADL="http://127.0.0.1:%d/%s",1,50',
    "bc660k": 'AT+QFOTADL="http://127.0.0.1:%d/%s"',
    "a7670": 'AT+CFOTA=0,1,"127.0.0.1:%d/%s",kapok,kapok',
    "sim7080": 'AT+HTTPTOFS="http://127.0.0.1:%d/%s","/fota/update.zip",300,5',
}
FETCHED = {
    "ec200": b'+QIND: "FOTA","HTTPEND",0',
    "bc660k": b'+QIND: "FOTA","HTTPEND",0',
    "a7670": b"+CFOTA: 100",
    "sim7080": b"+HTTPTOFS: 200,4000",
}
DONE = {
    "ec200": b'+QIND: "FOTA","END",0',
    "bc660k": b'+QIND: "FOTA","END",0',
    "a7670": b"+CFOTA: UPDATE SUCCESS.",
    "sim7080": b'+CFOTA: "Update successfully, please wait for reset"',
}
NO_FILE = {
    "ec200": b'+QIND: "FOTA","HTTPEND",703',
    "bc660k": b'+QIND: "FOTA","HTTPEND",12',
    "a7670": b"+CFOTA: 1005",
    "sim7080": b"+HTTPTOFS: 404,0",
}
BROKEN = {
    "ec200": b'+QIND: "FOTA","END",5',
    "bc660k": b'+QIND: "FOTA","END",5',
    "a7670": b"+CFOTA: UPDATE FAIL.",
    "sim7080": b'+CFOTA: "Update failed, please wait for reset"',
}


def faulty(fault: str) -> Scenario:
    return Scenario(fota=FotaOptions(fault=fault))


def good(bench: Bench) -> bytes:
    family = bench.twin.family.table.name
    return package(family, bench.twin.fota.version, NEW)


async def fetched(bench: Bench, server: FileServer, name: str = "p") -> None:
    family = bench.twin.family.table.name
    await attached(bench)
    await ask(bench, COMMANDS[family] % (server.port, name))
    await bench.until(FETCHED[family], 600)
    if family == "sim7080":
        assert b"+HTTPTOFSRL: 0,4000,4000" in await ask(bench, "AT+HTTPTOFSRL?")
        await ask(bench, "AT+CFOTA=1")


async def restarted(bench: Bench) -> None:
    for _ in range(1000):
        if bench.twin.state is State.COMMAND and not bench.twin.fota.writing:
            return
        await asyncio.sleep(0.5)
    raise AssertionError("it does not start")


async def version(bench: Bench) -> bytes:
    bench.heard.clear()
    return await ask(bench, "AT+CGMR")


@pytest.mark.parametrize("family", COMMANDS)
def test_it_fetches_writes_and_runs_the_new_version(family: str) -> None:
    async def case(bench: Bench) -> None:
        old = bench.twin.fota.version
        async with FileServer(p=good(bench)) as server:
            await fetched(bench, server)
            started = bench.loop.time()
            await bench.until(DONE[family], 600)
            assert bench.loop.time() - started > 80
            await restarted(bench)
            told = await version(bench)
            assert NEW.encode() in told
            assert old.encode() not in told
            assert server.asked == ["/p"]
        twin = bench.twin
        assert (twin.fota.written, twin.fota.interrupted) == (1, 0)
        assert twin.bridge.down > 4000  # it went over the air

    play(family, case)


@pytest.mark.parametrize("family", COMMANDS)
def test_a_file_that_is_not_there(family: str) -> None:
    async def case(bench: Bench) -> None:
        old = bench.twin.fota.version
        async with FileServer() as server:
            await attached(bench)
            await ask(bench, COMMANDS[family] % (server.port, "p"))
            await bench.until(NO_FILE[family], 600)
        assert old.encode() in await version(bench)

    play(family, case)


@pytest.mark.parametrize("family", COMMANDS)
@pytest.mark.parametrize("what", ["damaged", "other module", "other version", "flash"])
def test_a_package_that_it_does_not_take(family: str, what: str) -> None:
    async def case(bench: Bench) -> None:
        old = bench.twin.fota.version
        data = good(bench)
        if what == "damaged":
            data = data[:2000] + b"\0" + data[2001:]
        elif what == "other module":
            data = package("bc95", old, NEW)
        elif what == "other version":
            data = package(family, NEW, NEW)
        async with FileServer(p=data) as server:
            await fetched(bench, server)
            await bench.until(BROKEN[family], 600)
            await restarted(bench)
        assert old.encode() in await version(bench)

    play(family, case, scenario=faulty("flash") if what == "flash" else None)


def test_power_that_fails_while_it_writes_only_delays_it() -> None:
    async def case(bench: Bench) -> None:
        async with FileServer(p=good(bench)) as server:
            await fetched(bench, server)
            await bench.until(b'"UPDATING",50', 600)
            bench.twin.power_off()
            await asyncio.sleep(5)
            bench.twin.power_on()
            await restarted(bench)
        assert NEW.encode() in await version(bench)
        assert bench.twin.fota.interrupted == 1

    play("ec200", case)


@pytest.mark.parametrize("loss", ["radio off", "power"])
def test_what_is_on_its_way_is_lost_with_the_radio(loss: str) -> None:
    async def case(bench: Bench) -> None:
        data = package("ec200", bench.twin.fota.version, NEW, 200_000)
        async with FileServer(p=data) as server:
            await attached(bench)
            await ask(bench, COMMANDS["ec200"] % (server.port, "p"))
            await bench.until(b'"DOWNLOADING",', 600)
            if loss == "radio off":
                assert b'"HTTPEND",702' in await ask(bench, "AT+CFUN=0")
            else:
                bench.twin.power_off()
                bench.twin.power_on()
            await asyncio.sleep(300)
        assert not bench.twin.fota.fetching
        assert bench.twin.fota.written == 0

    play("ec200", case)


def test_it_does_not_fall_asleep_while_it_fetches() -> None:
    async def case(bench: Bench) -> None:
        data = package("bc660k", bench.twin.fota.version, NEW, 60_000)
        async with FileServer(p=data) as server:
            await attached(bench)
            await ask(bench, COMMANDS["bc660k"] % (server.port, "p"))
            await bench.until(DONE["bc660k"], 3600)
        assert bench.twin.fota.written == 1

    play("bc660k", case)


def test_one_that_has_none_says_so() -> None:
    async def case(bench: Bench) -> None:
        await attached(bench)
        await ask(bench, COMMANDS["bc660k"] % (80, "p"), ERROR)

    play("bc95", case)


@pytest.mark.parametrize("family", COMMANDS)
def test_a_second_one_meanwhile_is_refused(family: str) -> None:
    async def case(bench: Bench) -> None:
        data = package(family, bench.twin.fota.version, NEW, 60_000)
        async with FileServer(p=data) as server:
            await attached(bench)
            await ask(bench, COMMANDS[family] % (server.port, "p"))
            assert bench.twin.fota.fetching
            await ask(bench, COMMANDS[family] % (server.port, "p"), ERROR)
        assert bench.twin.fota.begun == 1

    play(family, case)
