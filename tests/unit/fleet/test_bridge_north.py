"""Readings told to platforms: each one until it is answered, stored until then, once queued."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import bridge_rig as rig
import pytest
from hook_server import hook_server
from ledger_rig import Stop, dies_at
from platform_rig import Platform, platform
from sqlalchemy import select

from fleet.alarms import webhook
from fleet.bridge import units
from fleet.bridge.errors import BridgeError, MappingFault
from fleet.bridge.north import forwarder, outbox, targets
from fleet.bridge.north.forwarder import Forwarder
from fleet.bridge.tables import BridgeMessage, BridgeTarget
from fleet.db.base import Database
from fleet.legacy.protocols import hj212
from fleet.registry.tables import Asset, Installation
from fleet.telemetry import operations as telemetry
from fleet.telemetry.operations import New, quantity_code

SECOND = 1_000_000
LEVEL, RAIN, DUST = 2, 13, 29
HJ = """
name = "bureau"
kind = "hj212"
begin = "{begin}"
[platform]
host = "127.0.0.1"
port = {port}
st = "21"
password = "123456"
answer_s = 1
repeats = {repeats}
[[stations]]
asset = "M1"
mn = "010000A8900016F000169DC0"
[[stations]]
asset = "M2"
mn = "010000A8900016F000169DC1"
[[values]]
quantity = "level"
factor = "e31201"
decimals = 2
[[values]]
quantity = "pm2_5"
factor = "a34004"
unit = "ng/m3"
decimals = 0
"""
SL = """
name = "centre"
kind = "sl651"
begin = "beginning"
[platform]
host = "127.0.0.1"
port = {port}
centre = 1
password = "1234"
answer_s = 1
repeats = 0
report = "timed"
[[stations]]
asset = "M1"
station = "12345678"
[[values]]
quantity = "level"
element = "Z"
[[values]]
quantity = "rain"
element = "PT"
"""


class Clock:
    """Ours, in us."""

    def __init__(self) -> None:
        self.now = rig.us(0)

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(rig.open_fleet(tmp_path, 3)) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


def measure(database: Database, asset: str, at_s: int, *values: tuple[int, int, int]) -> None:
    """Readings of an asset: (quantity, value, quality)."""
    with database.begin() as session:
        asset_id, terminal_id = session.execute(
            select(Asset.id, Installation.terminal_id)
            .join(Installation, Installation.asset_id == Asset.id)
            .where(Asset.name == asset)
        ).one()
        at_us = rig.us(0) + at_s * SECOND
        telemetry.store(
            session,
            [New(asset_id, terminal_id, code, at_us, value, quality, 2, at_us)
             for code, value, quality in values],
        )  # fmt: skip


def opened(
    database: Database, folder: Path, text: str, clock: Clock, **values: object
) -> Forwarder:
    path = folder / "target.toml"
    path.write_text(text.format(**{"begin": "beginning", "repeats": 0, **values}))
    target = targets.read(path)
    with database.begin() as session:
        outbox.open_target(session, target)
    made, at_once = forwarder.connect(target)
    return Forwarder(database, target, made, at_once, clock)


def goes(made: Forwarder, clock: Clock, count: int = 20, wait_s: int = 1000) -> tuple[int, int]:
    """What it does in so many goes, each as late as any pause is long."""
    sent = refused = 0
    for _ in range(count):
        told = made.go()
        sent, refused = sent + told.sent, refused + told.refused
        clock.now += wait_s * SECOND
    return sent, refused


def told(frames: Sequence[Any]) -> list[tuple[str, str, dict[str, str]]]:
    """(MN, data time, the rest) of packets."""
    found = []
    for frame in frames:
        pairs = dict(pair for group in frame.groups for pair in group)
        found.append((frame.mn, pairs.pop("DataTime"), pairs))
    return found


@pytest.fixture
def bureau() -> Iterator[Platform]:
    with platform("hj212") as made:
        yield made


def test_readings_arrive_as_hj212_with_units_flags_and_times_of_china(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    measure(database, "M1", 0, (LEVEL, 1835, 0), (DUST, 125, 1), (RAIN, 5, 0))
    measure(database, "M2", 60, (LEVEL, -2345, 2))
    measure(database, "M3", 60, (LEVEL, 1, 0))
    assert goes(made, clock) == (2, 0)
    assert told(bureau.taken) == [
        ("010000A8900016F000169DC0", "20251130185320",
         {"e31201-Rtd": "1.84", "e31201-Flag": "N", "a34004-Rtd": "12500", "a34004-Flag": "S"}),
        ("010000A8900016F000169DC1", "20251130185420",
         {"e31201-Rtd": "-2.34", "e31201-Flag": "D"}),
    ]  # fmt: skip
    first = bureau.taken[0]
    assert (first.st, first.cn, first.pw, first.flag) == ("21", "2011", "123456", 5)
    assert bureau.connections == 1
    assert goes(made, clock) == (0, 0)


def test_means_of_an_hour_are_a_packet_of_their_own(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    more = "".join(
        f'[[values]]\nquantity = "pm2_5_hour_{figure}"\nfactor = "a34004"\n'
        for figure in ("mean", "max")
    )
    made = opened(database, tmp_path, HJ + more, clock, port=bureau.port)
    mean, most = quantity_code("pm2_5_hour_mean"), quantity_code("pm2_5_hour_max")
    measure(database, "M1", 0, (DUST, 125, 0), (mean, 118, 0), (most, 140, 0))
    assert goes(made, clock) == (2, 0)
    assert [frame.cn for frame in bureau.taken] == ["2011", "2061"]
    assert told(bureau.taken)[1][2] == {
        "a34004-Avg": "11800", "a34004-Max": "14000", "a34004-Flag": "N",
    }  # fmt: skip


def told_as(folder: Path, head: str, quantity: str, said: str) -> tuple[str, int, str]:
    """Unit, decimals and the text of what is stored as 123,456, of one value of a target."""
    path = folder / "one.toml"
    path.write_text(
        f"{head[: head.index('[[values]]')].format(port=1, begin='now', repeats=0)}"
        f'[[values]]\nquantity = "{quantity}"\n{said}\n'
    )
    (word,) = targets.read(path).words
    number = units.told(123_456, word.quantity, word.factor, word.decimals)
    return word.unit, word.decimals, format(number, "f")


@pytest.mark.parametrize(
    ("head", "quantity", "said", "made"),
    [
        (HJ, "sewage_flow", 'factor = "w00000"', ("L/s", 3, "123.456")),
        (HJ, "flow", 'factor = "w00000"', ("L/s", 4, "34.2933")),
        (HJ, "pm2_5", 'factor = "a34004"', ("ng/m³", 0, "12345600")),
        (HJ, "cod_hour_total", 'factor = "w01018"', ("kg", 3, "123.456")),
        (HJ, "sewage_flow_hour_total", 'factor = "w00000"', ("m³", 3, "123.456")),
        (HJ, "ph", 'factor = "w01001"', ("", 2, "1234.56")),
        (HJ, "level", 'factor = "w00000"\nunit = "m"', ("m", 3, "123.456")),
        (SL, "flow", 'element = "Q"', ("m³/s", 7, "0.0342933")),
        (SL, "rain", 'element = "PT"', ("mm", 1, "12345.6")),
    ],
)
def test_a_value_is_told_in_the_unit_of_its_key(
    tmp_path: Path, head: str, quantity: str, said: str, made: tuple[str, int, str]
) -> None:
    assert told_as(tmp_path, head, quantity, said) == made


def test_a_quantity_of_another_kind_than_the_element_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingFault, match="Q is told in m³/s, this is stored in m"):
        told_as(tmp_path, SL, "level", 'element = "Q"')


def test_a_platform_that_is_away_gets_all_of_it_in_order_when_it_is_back(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    with platform("hj212") as first:
        port = first.port
    made = opened(database, tmp_path, HJ, clock, port=port)
    for n in range(8):
        measure(database, "M1", n, (LEVEL, n * 1000, 0))
    assert goes(made, clock, 4) == (0, 0)
    with database.read() as session:
        row = session.get_one(BridgeTarget, "bureau")
        assert "Connection refused" in row.error
        assert row.failures == 4
    with platform("hj212") as back:
        made = opened(database, tmp_path, HJ, clock, port=back.port)
        assert goes(made, clock) == (8, 0)
        values = [pairs["e31201-Rtd"] for _, _, pairs in told(back.taken)]
    assert values == [f"{n}.00" for n in range(8)]


@pytest.mark.parametrize("mood", [["silent"], ["hang-up"], ["silent", "hang-up", "silent"]])
def test_what_is_not_answered_is_told_again_under_its_own_name(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform, mood: list[str]
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port, repeats=1)
    measure(database, "M1", 0, (LEVEL, 1, 0))
    bureau.mood = list(mood)
    assert goes(made, clock) == (1, 0)
    assert len({frame.qn for frame in bureau.frames}) == 1
    assert len(bureau.frames) > 1


def test_sabotage_a_platform_that_need_not_answer_loses_readings(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from fleet.bridge.north.frames import Line

    monkeypatch.setattr(Line, "_answered", lambda *_: True)  # a send is taken for an answer
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    bureau.mood = ["hang-up"]
    for n in range(4):
        measure(database, "M1", n, (LEVEL, n, 0))
    sent, _ = goes(made, clock)
    assert sent > len(bureau.taken)


def test_one_message_that_is_never_taken_does_not_hold_up_the_rest(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    for n in range(6):
        measure(database, "M1", n, (LEVEL, n * 1000, 0))
    bureau.always = "refuse"
    bureau.picks = lambda frame: frame.get("e31201-Rtd") == "2.00"
    assert goes(made, clock, 30) == (5, 1)
    with database.begin() as session:
        row = session.scalars(select(BridgeMessage).where(BridgeMessage.state == "refused")).one()
        assert row.error == "not taken 6 times, while others are"
        assert outbox.requeue(session, "bureau") == 1
    bureau.picks = None
    assert goes(made, clock) == (1, 0)


def test_while_nothing_is_taken_nothing_is_set_aside(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    for n in range(3):
        measure(database, "M1", n, (LEVEL, n, 0))
    bureau.always, bureau.picks = "refuse", lambda _: True
    assert goes(made, clock, 16) == (0, 0)
    bureau.picks = None
    assert goes(made, clock) == (3, 0)


@pytest.mark.parametrize("statement", range(3, 40, 6))
def test_a_process_that_dies_at_any_statement_tells_each_reading(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform, statement: int
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    for n in range(3):
        measure(database, "M1", n, (LEVEL, n * 1000, 0))
    with contextlib.suppress(Stop), dies_at(database, statement):
        goes(made, clock, 5)
    made._platform.close()  # a process that dies leaves no connection
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    goes(made, clock, 6)
    with database.read() as session:
        states = [row.state for row in session.scalars(select(BridgeMessage))]
    assert states == ["sent"] * 3
    by_name = {frame.qn: frame.get("e31201-Rtd") for frame in bureau.taken}
    assert sorted(by_name.values()) == ["0.00", "1.00", "2.00"]
    assert len(bureau.taken) <= 4  # at most the one whose mark died is told twice


def test_what_the_platform_commands_is_refused_and_delays_nothing(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    command = hj212.Packet(
        "21", "3012", "010000A8900016F000169DC0", ((("PolId", "w01018"),),),
        "20251130180000000", "123456", 5,
    )  # fmt: skip
    bureau.asks = b"\r\nhello\r\n" + hj212.encode(command)
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    measure(database, "M1", 0, (LEVEL, 1, 0))
    measure(database, "M1", 1, (LEVEL, 2, 0))
    assert goes(made, clock) == (2, 0)
    answer = hj212.decode(bureau.said[0])
    assert (answer.cn, answer.qn, answer.get("QnRtn")) == ("9011", "20251130180000000", "2")


def test_a_new_target_begins_with_now_unless_it_is_to_know_all(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    measure(database, "M1", 0, (LEVEL, 1, 0))
    made = opened(database, tmp_path, HJ, clock, port=bureau.port, begin="now")
    measure(database, "M1", 1, (LEVEL, 2000, 0))
    assert goes(made, clock) == (1, 0)
    assert told(bureau.taken)[0][2]["e31201-Rtd"] == "2.00"


def test_names_of_messages_are_their_own_also_when_the_clock_is_set_back(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    for n in range(3):
        measure(database, "M1", 2 * n, (LEVEL, n, 0))
        measure(database, "M2", 2 * n, (LEVEL, n, 0))
        goes(made, clock, 3)
        clock.now -= 7200 * SECOND
    names = [frame.qn for frame in bureau.taken]
    assert names == sorted(set(names))
    assert len(names) == 6


def test_a_hydrological_centre_gets_reports_and_answers_by_serial_number(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    with platform("sl651") as centre:
        made = opened(database, tmp_path, SL, clock, port=centre.port)
        measure(database, "M1", 0, (LEVEL, 1830, 0), (RAIN, 125, 0))
        measure(database, "M1", 600, (LEVEL, -20, 1))
        measure(database, "M1", 660, (LEVEL, 9999, 2))  # suspect: SL 651 has no word for that
        centre.mood = ["refuse", "silent"]
        assert goes(made, clock) == (2, 0)
    frame = centre.taken[0]
    assert (frame.station, frame.centre, f"{frame.function:02X}") == ("0012345678", 1, "32")
    assert {one.key: Decimal(one.value) for one in frame.readings} == {
        "Z": Decimal("1.830"), "PT": Decimal("12.5"),
    }  # fmt: skip
    assert [one.value for one in centre.taken[1].readings] == ["-0.020"]
    assert len({one.serial for one in centre.frames}) == 2


def test_two_values_of_one_minute_are_two_reports(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    with platform("sl651") as centre:
        made = opened(database, tmp_path, SL, clock, port=centre.port)
        for n in range(3):
            measure(database, "M1", 10 * n, (LEVEL, 1000 + n, 0), (RAIN, n, 0))
        assert goes(made, clock) == (3, 0)
    values = [{one.key: Decimal(one.value) for one in frame.readings} for frame in centre.taken]
    assert values == [
        {"Z": Decimal(1000 + n) / 1000, "PT": Decimal(n) / 10} for n in range(3)
    ]  # fmt: skip


def test_what_two_terminals_of_an_asset_say_of_one_moment_is_told_twice(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    measure(database, "M1", 0, (LEVEL, 1000, 0), (DUST, 5, 0))
    with database.begin() as session:
        asset_id = session.execute(select(Asset.id).where(Asset.name == "M1")).scalar_one()
        other = session.execute(
            select(Installation.terminal_id)
            .join(Asset, Asset.id == Installation.asset_id)
            .where(Asset.name == "M2")
        ).scalar_one()
        at_us = rig.us(0)
        telemetry.store(session, [New(asset_id, other, LEVEL, at_us, 2000, 0, 2, at_us)])
    assert goes(made, clock) == (2, 0)
    assert [pairs["e31201-Rtd"] for _, _, pairs in told(bureau.taken)] == ["1.00", "2.00"]


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (HJ, 'quantity = "level_below"\nfactor = "e31201"'),
        (SL, 'quantity = "level_below"\nelement = "Z"'),
    ],
)
def test_two_quantities_under_one_key_are_refused(
    database: Database, tmp_path: Path, clock: Clock, text: str, more: str
) -> None:
    with pytest.raises(MappingFault, match="of the same period is there twice"):
        opened(database, tmp_path, f"{text}[[values]]\n{more}\n", clock, port=1)


def test_a_value_with_too_many_digits_is_set_aside_by_itself(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    with platform("sl651") as centre:
        made = opened(database, tmp_path, SL, clock, port=centre.port)
        measure(database, "M1", 0, (LEVEL, 10**12, 0))
        measure(database, "M1", 600, (LEVEL, 1, 0))
        assert goes(made, clock) == (1, 1)


HOOK = """
name = "city"
kind = "webhook"
area = "440106"
begin = "beginning"
[platform]
url = "{url}"
secret = "0123456789abcdef"
"""


def test_a_webhook_gets_signed_messages_with_ids_that_stay(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    with hook_server() as server:
        made = opened(database, tmp_path, HOOK, clock, url=server.url)
        for n in range(3):
            measure(database, "M3", n, (LEVEL, 1830 + n, 0))
        server.answers = [503, 0]
        assert goes(made, clock, 5) == (3, 0)
    assert len(server.posts) == 3
    post = server.posts[-1]
    sign = post.headers["Kapok-Signature"]
    seconds = int(sign[2 : sign.index(",")])
    delivery = post.headers["Kapok-Delivery"]
    assert sign == webhook.signature(b"0123456789abcdef", seconds, delivery, post.body)
    assert [one["id"] for one in post.document["messages"]] == [1, 2, 3]
    assert post.document["messages"][0]["values"] == [
        {"quantity": "level", "value": "1.830", "unit": "m", "quality": "good"}
    ]
    assert server.posts[0].document == post.document


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('factor = "e31201"', 'factor = "w99999x"', "is no factor of HJ 212"),
        ('factor = "e31201"', 'factor = "w00000"', "w00000 is told in L/s, this is stored in m:"),
        ('factor = "e31201"', 'factor = "LA"', "LA is told in dB, this is stored in m"),
        ('factor = "e31201"', 'factor = "w01001"', "has no unit that is known"),
        ('unit = "ng/m3"', 'unit = "mm"', "is no unit of what is stored in ug/m3"),
        ('st = "21"', 'st = "20"', "a system of HJ 212"),
        ('password = "123456"', 'password = "12;CN=2"', "up to 9 letters and digits"),
        ('mn = "010000A8900016F000169DC1"', 'mn = "1;2"', "letters and digits"),
        ('asset = "M2"', 'asset = "M9"', "'M9' is no asset"),
    ],
)
def test_a_target_that_is_wrong_says_where(
    database: Database, tmp_path: Path, clock: Clock, old: str, new: str, line: str
) -> None:
    assert old in HJ
    with pytest.raises((MappingFault, BridgeError), match=line):
        opened(database, tmp_path, HJ.replace(old, new), clock, port=1).go()


def test_a_platform_that_is_long_away_raises_an_alarm_that_ends(
    database: Database, tmp_path: Path, clock: Clock, bureau: Platform
) -> None:
    from fleet.alarms import operations as alarms

    made = opened(database, tmp_path, HJ, clock, port=bureau.port)
    measure(database, "M1", 0, (LEVEL, 1, 0))
    bureau.mood = ["hang-up"] * 6
    goes(made, clock, 3)
    with database.read() as session:
        found = alarms.list_(session, alarms.Filter())
        assert [(one.kind, one.subject) for one in found] == [("bridge", "to bureau")]
        assert json.loads(json.dumps(dict(found[0].detail)))["bridge"] == "bureau"
    goes(made, clock)
    with database.read() as session:
        assert [one.cleared_us is None for one in alarms.list_(session, alarms.Filter())] in (
            [], [False],
        )  # fmt: skip
