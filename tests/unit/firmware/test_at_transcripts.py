"""Each family's recorded contact: its parser on both interpreters, and its driver all through."""

import asyncio
import contextlib
import json
import random
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import at_fuzz
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from modem_bench import Bench, jumping
from node.errors import NodeError
from node.link.modems import FAMILIES, open_modem

from hil.virtual.modem.replay_lenient import LenientReplay
from hil.virtual.modem.transcript import load

exchanges = vectors.script("at_exchanges")
at_contact = vectors.script("at_contact")
PSM = (108_000, 60)  # granted: 30 h and 60 s, where 10 h and 60 s were asked for
EDRX = (20_480, 10_240)
# imei, PSM, eDRX, rsrp_dbm, snr_ddb, ecl, cell, requests that only other drivers make
EXPECTED: dict[str, tuple[Any, ...]] = {
    "a7670": ("867670041234567", None, None, -80, None, None, 39589632, []),
    "bc660k": ("867997041234567", PSM, EDRX, -90, 160, 0, 0x0A0B0C0D, []),
    "bc95": ("867725032134567", PSM, EDRX, -88, 182, 0, 9741746, []),
    "ec200": ("867997051234567", None, None, -83, 80, None, 0x05C6D7E8, []),
    "sim7080": ("867080041234567", PSM, EDRX, -78, 140, None, 105686269, []),
}
# Commands that the driver has no use for, in the record for what firmware makes of them.
UNUSED = {b"AT+QTEMP", b"AT+CGPADDR=0", b"AT+CGPADDR=1"}


def test_every_family_has_its_transcript() -> None:
    assert sorted(FAMILIES) == list(vectors.FAMILIES) == sorted(EXPECTED)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", vectors.FAMILIES)
def test_a_whole_contact_runs_through_as_recorded(family: str, seed: int) -> None:
    """The seed cuts what the modem says into other chunks."""

    async def main() -> None:
        twin = LenientReplay(load(vectors.path(family)), seed=seed)
        bench = Bench(twin)  # type: ignore[arg-type]
        twin.power_on()
        told = await at_contact.contact(open_modem(family, bench))
        assert twin.departures == []
        assert {step.request for step in twin.never_reached()} <= UNUSED
        imei, psm, edrx, rsrp, snr, ecl, cell, _ = EXPECTED[family]
        signal = told["signal"]
        assert (told["identity"]["imei"], told["psm"], told["edrx"]) == (imei, psm, edrx)
        assert (signal["rsrp_dbm"], signal["snr_ddb"]) == (rsrp, snr)
        assert (signal["ecl"], signal["cell"]) == (ecl, cell)
        assert told["time"] == 1_800_000_000
        assert told["tcp"] == at_contact.DOWN.hex()
        assert told["udp"] == at_contact.ANSWER.hex()

    jumping(main)


def test_the_drivers_learn_the_same_on_the_vm(micropython: list[str], tmp_path: Path) -> None:
    there = vectors.on_the_vm(micropython, "at_contact", tmp_path)
    for family in vectors.FAMILIES:

        async def main(family: str = family) -> Any:
            return await at_contact.play(family, vectors.lines(family))

        here = json.loads(json.dumps(jumping(main)))
        assert here[1] == []
        assert there[family] == here, family


@pytest.mark.parametrize("family", vectors.FAMILIES)
def test_no_cut_and_no_joint_changes_an_exchange(family: str) -> None:
    """Every byte boundary of every reply, byte by byte, and each reply joined to the next."""
    _, wrong = exchanges.check(family, vectors.lines(family))
    assert wrong == []


def test_the_vm_parses_every_exchange_alike_at_every_cut(
    micropython: list[str], tmp_path: Path
) -> None:
    there = vectors.on_the_vm(micropython, "at_exchanges", tmp_path)
    for family in vectors.FAMILIES:
        found, wrong = there[family]
        assert wrong == [], family
        for (_, reply), items in zip(vectors.lines(family), found, strict=True):
            assert items == exchanges.items_of(family, [reply.encode("latin-1")]), reply


def test_the_vm_parses_damaged_streams_alike(micropython: list[str], tmp_path: Path) -> None:
    """200 for each family: raw bytes, fragments, damaged records."""
    records: dict[str, vectors.Lines] = {}
    for family in vectors.FAMILIES:
        streams = at_fuzz.Streams(family, random.Random(f"vm {family}"))
        drawn = [streams.draw("", ())[:120] for _ in range(200)]
        records[family] = [(None, stream.decode("latin-1")) for stream in drawn]
    there = vectors.on_the_vm(micropython, "at_exchanges", tmp_path, records)
    for family, lines in records.items():
        for (_, text), items in zip(lines, there[family][0], strict=True):
            assert items == exchanges.items_of(family, [text.encode("latin-1")]), text


@pytest.mark.parametrize("family", vectors.FAMILIES)
@given(data=st.data())
@settings(max_examples=60)
def test_neighbours_may_be_merged_and_cut_anywhere(family: str, data: st.DataObject) -> None:
    replies = vectors.replies(family)
    stream = b"".join(replies)
    expected = [item for reply in replies for item in exchanges.items_of(family, [reply])]
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=40))
    # Some of the recorded boundaries as well: neighbours joined and apart, at random.
    kept = data.draw(st.lists(st.sampled_from(list(accumulate(map(len, replies)))), max_size=20))
    edges = sorted({0, *cuts, *kept, len(stream)})
    assert exchanges.items_of(family, [stream[a:b] for a, b in pairwise(edges)]) == expected


def test_a_cut_that_matters_would_be_found() -> None:
    """Sabotage: a parser that takes each chunk for whole lines."""
    feed, items = exchanges.parser("bc660k")
    framing = feed.__self__
    framing._line = lambda rest, at, size: (
        framing._on_line(rest[at:].decode("latin-1"), None),
        size,
    )[1]
    feed(b"\r\n+CSQ: 22,0\r\n\r\nOK\r\n")
    whole = list(items)
    items.clear()
    for chunk in (b"\r\n+CSQ", b": 22,0\r\n\r\nOK\r\n"):
        feed(chunk)
    assert items != whole


def test_a_contact_with_another_order_of_its_lines_runs_through() -> None:
    """BC660K firmware differs in what comes first: OK, SEND OK, +QIOPEN or CLOSE OK."""

    def turned(line: tuple[str | None, str]) -> tuple[str | None, str]:
        request, reply = line
        for result in ("+QIOPEN: 0,0", "SEND OK", "CLOSE OK", "+QIDNSGIP: 10.20.30.40"):
            if reply.endswith(f"\r\n{result}\r\n") and "\r\nOK\r\n" in reply:
                reply = f"\r\n{result}\r\n" + reply.removesuffix(f"\r\n{result}\r\n")
        return request, reply

    async def main() -> Any:
        lines = [turned(line) for line in vectors.lines("bc660k")]
        assert lines != vectors.lines("bc660k")
        return await at_contact.play("bc660k", lines)

    told, strange = jumping(main)
    assert strange == []
    assert told["tcp"] == at_contact.DOWN.hex()
    assert told["udp"] == at_contact.ANSWER.hex()


@pytest.mark.parametrize("family", vectors.FAMILIES)
def test_a_contact_runs_through_with_echo_and_with_chatter_everywhere(family: str) -> None:
    """ATE0 without effect, blank lines, and a URC that nobody knows before each reply."""

    def noisy(line: tuple[str | None, str]) -> tuple[str | None, str]:
        request, reply = line
        if request is None or not reply:
            return line
        if request.startswith("AT"):
            reply = f'{request}\r\r\n\r\n+QNBIOTEVENT: "EXIT PSM"\r\n\r\n' + reply
        return request, reply

    async def main() -> Any:
        return await at_contact.play(family, [noisy(line) for line in vectors.lines(family)])

    async def plain() -> Any:
        return await at_contact.play(family, vectors.lines(family))

    assert jumping(main) == jumping(plain)


def test_the_replay_ends_in_bounded_time_when_the_modem_says_nothing() -> None:
    """No contact hangs on a record that stops in the middle."""

    async def main() -> None:
        lines = vectors.lines("bc660k")
        for end in range(2, len(lines)):
            cut = [line if i < end else (line[0], "") for i, line in enumerate(lines)]
            before = asyncio.get_running_loop().time()
            with contextlib.suppress(NodeError, TimeoutError):
                await at_contact.play("bc660k", cut)
            assert asyncio.get_running_loop().time() - before < 400

    jumping(main)
