"""Who is told what, and when: channels, escalation, repetition, giving up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alarm_rig import START
from delivery_rig import DOOR, LEAK, DeliveryRig
from hook_server import HookServer, hook_server
from sqlalchemy import select, text

from fleet.alarms import backoff, channels, operations, outbox, silence
from fleet.alarms.errors import ChannelError
from fleet.alarms.tables import OutMessage

MINUTE, HOUR, DAY = 60, 3600, 86400
DEAD = "http://localhost:9/"  # discard: nobody listens


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryRig:
    return DeliveryRig(tmp_path, monkeypatch)


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as made:
        yield made


def told(hook: HookServer) -> list[tuple[str, str]]:
    """(event, kind) of what came."""
    return [(p.document["event"], p.document["alarm"]["kind"]) for p in hook.posts]


def first(rig: DeliveryRig) -> int:
    return rig.alarms()[0].id


def test_begin_and_end_are_told_in_order(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("duty", hook.url)
    rig.event(DOOR)
    rig.now += 1
    rig.event(DOOR, 0)
    rig.go()
    assert told(hook) == [("raised", "door"), ("cleared", "door")]
    document = hook.posts[0].document
    assert document["alarm"]["node"] == rig.node
    assert "is open since" in document["alarm"]["text"]["en"]
    assert "检修门" in document["alarm"]["text"]["zh"]
    rig.later(DAY)
    assert len(hook.posts) == 2, "once each"


def test_a_channel_has_its_severity_and_area(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("grave", hook.url, severity="critical")
    rig.channel("far", hook.url, area="4403")
    rig.channel("near", hook.url, area="440106")
    rig.event(DOOR)
    assert rig.outbox() == [("near", "raised", "queued")]
    (meter,) = rig.nodes("gas-meter", 1, "440305001")
    rig.event(LEAK, node=meter)
    assert [name for name, *_ in rig.outbox()] == ["near", "far", "grave"] or {
        name for name, *_ in rig.outbox()[1:]
    } == {"grave"}


def test_an_escalation_comes_when_nobody_takes_note(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("chief", hook.url, after_s=600)
    rig.event(DOOR)
    rig.later(599)
    assert told(hook) == []
    rig.later(1)
    assert told(hook) == [("escalated", "door")]
    assert rig.alarms()[0].escalated == 1
    rig.event(DOOR, 0)
    rig.go()
    assert told(hook)[1:] == [("cleared", "door")]


def test_who_takes_note_stops_it(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("chief", hook.url, after_s=600)
    rig.channel("mayor", hook.url, after_s=1200, until="cleared")
    rig.event(DOOR)
    with rig.database.begin() as session:
        operations.acknowledge(session, first(rig), "Li Wei")
    rig.later(2000)
    assert [p.document["channel"] for p in hook.posts] == ["mayor"]


def test_what_ends_in_time_never_escalates(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("chief", hook.url, after_s=600)
    rig.event(DOOR)
    rig.now += 10
    rig.event(DOOR, 0)
    rig.later(2000)
    assert told(hook) == []


def test_sabotage_a_queue_that_nobody_withdraws_from_escalates_all_the_same(
    rig: DeliveryRig, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_withdraw", lambda *_: None)
    rig.channel("chief", hook.url, after_s=600)
    rig.event(DOOR)
    with rig.database.begin() as session:
        operations.acknowledge(session, first(rig), "Li Wei")
    rig.later(2000)
    assert told(hook) == [("escalated", "door")]


def test_webhooks_hear_who_sees_to_it(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("desk", hook.url)
    rig.event(DOOR)
    rig.go()
    with rig.database.begin() as session:
        operations.assign(session, first(rig), "Wang Fang", "Li Wei")
    rig.go()
    assert [event for event, _ in told(hook)] == ["raised", "acknowledged", "assigned"]
    assert hook.posts[2].document["alarm"]["assigned_to"] == "Wang Fang"


def test_what_fails_is_repeated_until_it_is_taken(rig: DeliveryRig, hook: HookServer) -> None:
    hook.answers = [500, 429, 0, 503, 408]
    rig.channel("duty", hook.url)
    rig.event(DOOR)
    rig.go()
    for _ in range(5):
        rig.later(900 * 1.25)
    assert told(hook) == [("raised", "door")] * 6
    assert len({post.headers["Kapok-Delivery"] for post in hook.posts}) == 1
    assert rig.outbox() == [("duty", "raised", "sent")]
    with rig.database.read() as session:
        assert session.scalars(select(OutMessage)).one().attempts == 6
        assert channels.list_(session)[0].failures == 0


def test_a_channel_that_fails_is_left_alone_for_longer_and_longer(rig: DeliveryRig) -> None:
    rig.channel("dead", DEAD)
    rig.event(DOOR)
    tries = []
    for _ in range(400):
        rig.later(10)
        with rig.database.read() as session:
            tries.append(session.scalars(select(OutMessage)).first().attempts)  # type: ignore[union-attr]
    assert tries[0] == 1
    assert 8 <= tries[-1] <= 14, "5 s, doubling up to 15 min: about ten in over an hour"


def test_pauses_double_and_are_bounded() -> None:
    pauses = [backoff.pause_us(n, 0.5) // 1_000_000 for n in range(1, 12)]
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == 900
    assert backoff.pause_us(10**9, 1.0) == 1125 * 1_000_000
    assert backoff.pause_us(1, 0.0) == 3_750_000


def test_one_that_fails_keeps_no_other_from_its_messages(
    rig: DeliveryRig, hook: HookServer
) -> None:
    rig.channel("dead", DEAD)
    rig.channel("good", hook.url)
    rig.event(DOOR)
    rig.go()
    assert [p.document["channel"] for p in hook.posts] == ["good"]


def test_a_message_that_is_refused_lets_the_others_pass(
    rig: DeliveryRig, hook: HookServer
) -> None:
    rig.channel("duty", hook.url)
    rig.event(DOOR)
    (other,) = rig.nodes("lamppost")
    rig.event(DOOR, node=other)
    hook.answers = [400]
    rig.go()
    rig.later(5.1)
    assert [p.document["alarm"]["node"] for p in hook.posts] == [rig.node, other]
    rig.later(60)
    assert rig.outbox("queued") == []


def test_after_two_days_it_is_given_up(rig: DeliveryRig) -> None:
    rig.channel("dead", DEAD)
    rig.event(DOOR)
    rig.go()
    rig.later(47 * HOUR)
    assert rig.outbox("given-up") == []
    rig.later(2 * HOUR)
    assert rig.outbox("given-up") == [("dead", "raised", "given-up")]


def test_a_channel_that_fails_for_long_is_an_alarm_told_by_the_others(
    rig: DeliveryRig, hook: HookServer
) -> None:
    rig.channel("dead", DEAD)
    rig.channel("good", hook.url)
    rig.event(DOOR)
    rig.go()
    for _ in range(20):
        rig.later(MINUTE)
    assert rig.kinds() == ["door", "channel"]
    assert ("raised", "channel") in told(hook)
    assert [row for row in rig.outbox() if row[0] == "dead"] == [("dead", "raised", "queued")]
    with rig.database.begin() as session:
        session.execute(
            text("UPDATE alarm_channels SET target = :url WHERE name = 'dead'"), {"url": hook.url}
        )
    rig.later(DAY / 2)
    assert rig.kinds() == ["door"]


def test_what_is_old_is_forgotten(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("duty", hook.url)
    rig.event(DOOR)
    rig.go()
    rig.now += 31 * DAY
    rig.tick()
    assert rig.outbox("sent") == []
    assert "door" in rig.kinds()


def test_it_is_queued_with_the_alarm_or_not_at_all(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("duty", hook.url)

    with rig.database.begin() as session:
        operations.raise_alarm(session, "crl", "crl.pem", {})
        session.rollback()  # the transaction's end is another's to say
    assert (rig.outbox(), rig.alarms()) == ([], [])


def test_a_removed_channel_is_told_nothing(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("duty", hook.url)
    rig.event(DOOR)
    with rig.database.begin() as session:
        channels.remove(session, "duty")
    rig.go()
    assert told(hook) == []
    assert rig.outbox() == [("duty", "raised", "withdrawn")]


REFUSED = [
        ("Duty", "webhook", "https://x/"), ("", "webhook", "https://x/"),
        ("a", "webhook", "ftp://x/"), ("a", "webhook", "https:///x"), ("a", "webhook", "x"),
        ("a", "webhook", "https://u:p@x/"), ("a", "webhook", "https://x/#f"),
        ("a", "webhook", "https://x:99999/"), ("a", "webhook", "https://x/a b"),
        ("a", "webhook", "https://x/" + "y" * 500), ("a", "webhook", "https://[::1"),
        ("a", "mail", "nobody"), ("a", "mail", "a@b\r\nBcc: c@d"), ("a", "mail", "a b@c.de"),
        ("a", "pigeon", "loft"), ("a", "webhook", "https://x/", "fatal"),
        ("a", "webhook", "https://x/", "warning", "x"), ("a", "webhook", "https://x/", "warning",
         "", -1), ("a", "webhook", "https://x/", "warning", "", 8 * DAY),
        ("a", "webhook", "https://x/", "warning", "", 0, "doomsday"),
        ("a", "webhook", "https://x/", "warning", "", 0, "cleared", "tlh"),
    ]  # fmt: skip


def test_refusals(rig: DeliveryRig) -> None:
    for new in REFUSED:
        with pytest.raises(ChannelError) as caught, rig.database.begin() as session:
            channels.add(session, rig.wrapper, channels.New(*new), "Li Wei")  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_the_secret_is_wrapped_where_it_lies(rig: DeliveryRig, hook: HookServer) -> None:
    rig.channel("duty", hook.url)
    secret = rig.secrets["duty"]
    raw = rig.path.read_bytes() + rig.path.with_name("kapok.db-wal").read_bytes()
    assert len(secret) == 32
    assert secret not in raw
    assert secret.hex().encode() not in raw


def test_what_somebody_took_note_of_is_not_escalated_after_maintenance(
    rig: DeliveryRig, hook: HookServer
) -> None:
    rig.channel("chief", hook.url, after_s=600)
    rig.channel("mayor", hook.url, after_s=600, until="cleared")
    rig.event(DOOR)
    with rig.database.begin() as session:
        operations.acknowledge(session, first(rig), "Li Wei")
        until = int((START + rig.now + HOUR) * 1_000_000)
        number = silence.start(session, "node", rig.node, until, "a test", "Li Wei")
    with rig.database.begin() as session:
        silence.end(session, number, "Li Wei")
    rig.later(DAY)
    assert [p.document["channel"] for p in hook.posts] == ["mayor"]


def test_a_late_escalation_has_its_own_time_until_it_is_given_up(rig: DeliveryRig) -> None:
    rig.channel("chief", DEAD, after_s=3 * DAY)
    rig.event(DOOR)
    rig.later(3 * DAY + 1)
    assert rig.outbox() == [("chief", "escalated", "queued")]
    rig.later(2 * DAY + 1)
    assert rig.outbox() == [("chief", "escalated", "given-up")]
