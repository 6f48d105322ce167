"""The broker contract, the same for the embedded broker and for Mosquitto.

*Refused* means that nothing crosses and that the victim goes on receiving: a broker may answer
SUBACK and PUBACK to what it drops, so no return code is looked at.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from broker_rig import MOSQUITTO, EmbeddedRig, MosquittoRig, Pki, Rig
from mqtt_peers import Client, Credential, connect_packet, packet, text

from fleet.broker import guarded, mosquitto

_marks = itertools.count(1)


def mark(label: str) -> bytes:
    """A payload that no other message of this run has."""
    return f"{label}-{next(_marks)}".encode()


class World(NamedTuple):
    """A broker, the fleet connected to it, and one innocent node."""

    rig: Rig
    fleet: Client
    victim: Client

    @property
    def victim_id(self) -> str:
        return self.victim.credential.cn

    def assert_victim_is_served(self) -> None:
        """The victim's connection never ended, it receives, and what it sends arrives."""
        assert not self.victim.ended.is_set(), "the victim was thrown out"
        down, up = mark("down"), mark("up")
        self.fleet.publish(f"k1/{self.victim_id}/down/receipt", down)
        assert self.victim.receives(down), "the victim is deaf"
        self.victim.publish(f"k1/{self.victim_id}/up/report", up)
        assert self.fleet.receives(up), "the victim is mute"

    def assert_nothing_crossed(self, *evil: bytes) -> None:
        """Neither the fleet nor the victim got any of it."""
        for payload in evil:
            assert not self.fleet.has(payload), f"{payload!r} reached the fleet"
            assert not self.victim.has(payload), f"{payload!r} reached the victim"


@pytest.fixture(scope="module", params=["amqtt", "mosquitto"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("broker")
    if request.param == "mosquitto" and not MOSQUITTO:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    broker: Rig = EmbeddedRig(folder) if request.param == "amqtt" else MosquittoRig(folder)
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def world(rig: Rig) -> Iterator[World]:
    with rig.client(rig.pki.service) as fleet, rig.client(rig.pki.node()) as victim:
        assert fleet.connect()
        fleet.subscribe("k1/+/up/#")
        assert victim.connect()
        victim.subscribe(f"k1/{victim.credential.cn}/down/#")
        here = World(rig, fleet, victim)
        here.assert_victim_is_served()
        yield here


def assault(world: World, attacker: Client) -> None:
    """Do all the harm that an accepted connection could do, then look whether any was done."""
    evil = [mark("evil") for _ in range(3)]
    attacker.subscribe(f"k1/{world.victim_id}/down/#")
    attacker.subscribe(f"k1/{world.victim_id}/up/#")
    attacker.publish(f"k1/{world.victim_id}/up/report", evil[0])
    attacker.publish(f"k1/{world.victim_id}/down/receipt", evil[1])
    attacker.publish(f"k1/{world.victim_id}/up/report", evil[2], qos=0)
    if not attacker.ended.is_set():
        _flush(world, attacker)
    world.assert_victim_is_served()
    world.assert_nothing_crossed(*evil)
    assert not attacker.inbox, f"the attacker overheard {attacker.inbox}"


def _flush(world: World, attacker: Client) -> None:
    """What the attacker sent before is handled once this, sent after it, has come through."""
    probe = mark("probe")
    attacker.publish(f"k1/{attacker.credential.cn}/up/report", probe)
    if not attacker.ended.is_set():
        assert world.fleet.receives(probe)


# --- who may connect -----------------------------------------------------------------------


def test_a_node_is_served(world: World) -> None:
    for qos in (0, 1):
        up = mark("up")
        world.victim.publish(f"k1/{world.victim_id}/up/report", up, qos)
        assert world.fleet.receives(up)


@pytest.mark.parametrize(
    "secret",
    [
        "no-certificate",
        "unknown-ca",
        "self-signed",
        "expired",
        "not-yet-valid",
        "signed-by-a-node",
        "server-certificate",
    ],
)
def test_attack_connect_with_a_certificate_that_does_not_count(
    world: World, secret: str, tmp_path: Path
) -> None:
    pki, me = world.rig.pki, world.victim_id
    if secret == "no-certificate":
        credential = Credential(me, None, None)
    elif secret == "unknown-ca":
        credential = Pki(tmp_path).node(me)
    elif secret == "self-signed":
        stranger = Pki(tmp_path)
        credential = stranger.leaf(me, stranger.signer())
    elif secret == "expired":
        credential = pki.node(me, now=datetime(2012, 1, 1, tzinfo=UTC))
    elif secret == "not-yet-valid":
        credential = pki.node(me, now=datetime(2040, 1, 1, tzinfo=UTC))
    elif secret == "signed-by-a-node":
        credential = pki.leaf(me, pki.signer_of(pki.node()))
    else:
        pair = pki.authority.server
        credential = Credential(me, pair.certificate, pair.key)
    with world.rig.client(credential) as attacker:
        attacker.connect()
        assault(world, attacker)
        assert attacker.ended.is_set()


def test_attack_connect_with_a_revoked_certificate(world: World) -> None:
    credential = world.rig.pki.node()
    with world.rig.client(credential) as before:
        assert before.connect()
    world.rig.revoke(credential)
    with world.rig.client(credential) as attacker:
        attacker.connect()
        evil = mark("evil")
        attacker.publish(f"k1/{credential.cn}/up/report", evil)
        assault(world, attacker)
        world.assert_nothing_crossed(evil)
        assert attacker.ended.is_set()


@pytest.mark.parametrize("cn", ["+", "#", "$SYS", "k1", "fleet2", "FLEET", "a/b", "admin"])
def test_attack_a_cn_outside_the_grammar(world: World, cn: str) -> None:
    with world.rig.client(world.rig.pki.leaf(cn), cn) as attacker:
        attacker.connect()
        evil = mark("evil")
        for topic in (f"k1/{world.victim_id}/up/report", f"k1/{world.victim_id}/down/receipt"):
            if not attacker.ended.is_set():
                attacker.publish(topic, evil)
                attacker.subscribe(topic)
        world.assert_victim_is_served()
        world.assert_nothing_crossed(evil)
        assert not attacker.inbox


# --- whose name ------------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
def test_attack_another_nodes_client_id(world: World, clean: bool) -> None:
    credential = world.rig.pki.node()
    with world.rig.client(credential, world.victim_id, clean=clean) as attacker:
        attacker.connect()
        assault(world, attacker)


@pytest.mark.parametrize("clean", [True, False])
def test_attack_the_fleets_client_id(world: World, clean: bool) -> None:
    with world.rig.client(world.rig.pki.node(), "fleet", clean=clean) as attacker:
        attacker.connect()
        attacker.subscribe("k1/+/up/#")
        assault(world, attacker)
        assert not world.fleet.ended.is_set()


def test_attack_another_nodes_client_id_without_a_certificate(world: World) -> None:
    for _ in range(3):
        with world.rig.client(Credential(world.victim_id, None, None), clean=False) as attacker:
            attacker.connect()
            assault(world, attacker)


def test_a_node_that_comes_back_takes_its_own_place(world: World) -> None:
    me = world.victim.credential
    with world.rig.client(me) as again:
        assert again.connect()
        assert world.victim.ended.wait(60)
        again.subscribe(f"k1/{me.cn}/down/#")
        World(world.rig, world.fleet, again).assert_victim_is_served()


# --- which topics ----------------------------------------------------------------------------


def foreign_topics(victim: str, own: str) -> list[str]:
    """Topic names and filters that reach out of a node's own area."""
    return [
        f"k1/{victim}/up/report",
        f"k1/{victim}/down/receipt",
        f"k1/{victim}/up",
        f"k1/{own}/down/../../{victim}/down/receipt",
        f"k1/{own}",
        f"/k1/{victim}/up/report",
        f"k1//{victim}/up/report",
        f"K1/{victim}/up/report",
        f"k1/{victim.upper()}/up/report",
        f"k1/{victim}\u2215up/report",
        f"\ufeffk1/{victim}/up/report",
        "k1/fleet/up/report",
        "k1/fleet/down/receipt",
        "$SYS/broker/version",
        "$CONTROL/dynamic-security/v1",
        f"$share/{own}/k1/{victim}/down/receipt",
        "k1",
        "/",
        " ",
        f"k1/{victim}/up/" + "x/" * 100,
        f"k1/{victim}/up/" + "x" * 60000,
    ]


def foreign_filters(victim: str, own: str) -> list[str]:
    """Filters that match more than a node's own area."""
    return [
        "#",
        "+/#",
        "+/+/+/+",
        "k1/#",
        "k1/+/down/#",
        "k1/+/up/#",
        "k1/+/+/+",
        f"k1/{victim}/#",
        f"k1/{own}/#",
        f"+/{victim}/down/#",
        "/#",
        "$SYS/#",
        "$CONTROL/#",
        "$share/group/#",
        "$share/group/k1/+/up/#",
        f"$share/group/k1/{victim}/down/#",
        "$queue/k1/+/up/#",
        "k1/+/down/receipt",
    ]


def test_attack_publish_to_a_foreign_topic(world: World) -> None:
    credential = world.rig.pki.node()
    evil = []
    for topic in foreign_topics(world.victim_id, credential.cn):
        for qos, retain in ((0, False), (1, False), (1, True)):
            with world.rig.client(credential) as attacker:
                assert attacker.connect()
                evil.append(mark("evil"))
                attacker.publish(topic, evil[-1], qos, retain)
                if not attacker.ended.is_set():
                    _flush(world, attacker)
    world.assert_victim_is_served()
    world.assert_nothing_crossed(*evil)
    # What was retained would be handed to whoever subscribes next.
    world.fleet.subscribe("k1/+/up/#")
    world.victim.subscribe(f"k1/{world.victim_id}/down/#")
    world.assert_victim_is_served()
    world.assert_nothing_crossed(*evil)


def test_attack_dot_dot_is_an_ordinary_level(world: World) -> None:
    credential = world.rig.pki.node()
    evil = mark("evil")
    with world.rig.client(credential) as attacker:
        assert attacker.connect()
        attacker.publish(f"k1/{credential.cn}/up/../../{world.victim_id}/up/report", evil)
        _flush(world, attacker)
    world.assert_victim_is_served()
    assert not world.victim.has(evil)
    for topic, payload in world.fleet.inbox:
        assert payload != evil or topic.startswith(f"k1/{credential.cn}/up/")


def test_attack_publish_to_a_malformed_topic(world: World) -> None:
    credential = world.rig.pki.node()
    me, victim = credential.cn, world.victim_id
    topics: list[str | bytes] = [
        "#",
        "+",
        "k1/+/up/report",
        "k1/+/down/#",
        f"k1/{victim}/down/#",
        "",
        "\x00",
        f"k1/{victim}/up/report\x00",
        f"k1/{victim}\x00/up/report",
        f"k1/{me}\x00/../{victim}/up",
        f"k1/{victim}/up/".encode() + b"\xff\xfe",
        b"k1/\xc0\xaf/up",
        b"\xed\xa0\x80",
        f"k1/{victim}/down/".encode() + b"\xc0\x80",
    ]
    evil = []
    for topic in topics:
        for first in (0x30, 0x31, 0x32):
            with world.rig.raw(credential) as attacker:
                assert attacker.connect(me)
                evil.append(mark("evil"))
                identifier = b"\x00\x07" if first == 0x32 else b""
                attacker.send(packet(first, text(topic) + identifier + evil[-1]))
                probe = mark("probe")
                attacker.send(packet(0x30, text(f"k1/{me}/up/report") + probe))
                attacker.send(packet(0xE0, b""))
                attacker.ends()
    world.assert_victim_is_served()
    world.assert_nothing_crossed(*evil)


def test_attack_subscribe_to_a_foreign_topic(world: World) -> None:
    credential = world.rig.pki.node()
    me, victim = credential.cn, world.victim_id
    topics = foreign_filters(victim, me) + foreign_topics(victim, me)
    with world.rig.client(world.rig.pki.node()) as another:
        assert another.connect()
        for topic in topics:
            with world.rig.client(credential) as attacker:
                assert attacker.connect()
                attacker.subscribe(topic)
                world.assert_victim_is_served()
                another.publish(f"k1/{another.credential.cn}/up/report", mark("secret"))
                if not attacker.ended.is_set():
                    _flush(world, attacker)
                own = mark("own")
                world.fleet.publish(f"k1/{me}/down/receipt", own)
                assert all(data == own for _, data in attacker.inbox), (topic, attacker.inbox)


def test_attack_subscribe_to_a_malformed_filter(world: World) -> None:
    credential = world.rig.pki.node()
    me, victim = credential.cn, world.victim_id
    filters: list[str | bytes] = [
        "",
        "\x00",
        "k1/#/down",
        "k1/+x/down/#",
        f"k1/{victim}/down\x00/#",
        b"\xff",
        b"k1/\xc0\xae/#",
        "##",
        "k1/++/up",
    ]
    for topic in filters:
        with world.rig.raw(credential) as attacker:
            assert attacker.connect(me)
            attacker.send(packet(0x82, b"\x00\x01" + text(topic) + b"\x01"))
            world.assert_victim_is_served()
            attacker.send(packet(0xE0, b""))
            got = attacker.read(65536)
            assert b"down-" not in got, topic
            assert b"up-" not in got, topic


def test_attack_will_on_a_foreign_topic(world: World) -> None:
    credential = world.rig.pki.node()
    evil = []
    topics = [t for t in foreign_topics(world.victim_id, credential.cn) if len(t) < 1000]
    for topic, retain in itertools.product(topics, (False, True)):
        evil.append(mark("evil"))
        with world.rig.client(credential, will=(topic, evil[-1], retain)) as attacker:
            attacker.connect()
            attacker.vanish()
    world.assert_victim_is_served()
    world.assert_nothing_crossed(*evil)


def test_a_will_on_a_topic_of_ones_own_arrives(world: World) -> None:
    credential = world.rig.pki.node()
    last = mark("will")
    with world.rig.client(credential, will=(f"k1/{credential.cn}/up/gone", last, False)) as node:
        assert node.connect()
        node.vanish()
        assert world.fleet.receives(last)


def test_attack_retained_message_of_ones_own_is_not_kept(world: World) -> None:
    credential = world.rig.pki.node()
    kept = mark("kept")
    with world.rig.client(credential) as attacker:
        assert attacker.connect()
        attacker.publish(f"k1/{credential.cn}/up/report", kept, retain=True)
    world.assert_victim_is_served()
    world.fleet.inbox.clear()
    world.fleet.unsubscribe("k1/+/up/#")
    world.fleet.subscribe("k1/+/up/#")
    world.assert_victim_is_served()
    assert not world.fleet.has(kept)


def test_attack_the_fleets_own_certificate_has_two_rights_only(world: World) -> None:
    evil = [mark("evil") for _ in range(4)]
    fleet, victim = world.fleet, world.victim_id
    for topic in ("#", "k1/#", "k1/+/down/#", "$SYS/#", f"k1/{victim}/down/receipt"):
        fleet.subscribe(topic)
    fleet.publish(f"k1/{victim}/down/receipt", evil[3])
    assert world.victim.receives(evil[3])
    for topic, payload in zip(
        (f"k1/{victim}/up/report", "k1/fleet/up/report", f"k1/{victim}/report"), evil, strict=False
    ):
        # Mosquitto ends the connection on what it denies when its queue is unlimited.
        with world.rig.client(world.rig.pki.service) as again:
            assert again.connect()
            again.subscribe("k1/+/up/#")
            again.publish(topic, payload)
        with world.rig.client(world.rig.pki.service) as after:
            assert after.connect()
            after.subscribe("k1/+/up/#")
            World(world.rig, after, world.victim).assert_victim_is_served()
            for client in (fleet, again, after):
                assert not any(client.has(one) for one in evil)


# --- hostile bytes ---------------------------------------------------------------------------


def test_attack_oversize_packet(world: World) -> None:
    credential = world.rig.pki.node()
    with world.rig.raw(credential) as attacker:
        assert attacker.connect(credential.cn)
        evil = b"evil" * 500_000
        attacker.send(packet(0x30, text(f"k1/{credential.cn}/up/report") + evil))
        assert attacker.ends()
    world.assert_victim_is_served()
    world.assert_nothing_crossed(evil)


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x00\x00",
        b"\xf0\x00",
        b"\x10\xff\xff\xff\xff\x01",
        b"\x30\xff\xff\xff\x7f",
        b"\x32\x00",
        b"\x82\x02\x00\x01",
        b"\x82\x05\x00\x01\xff\xff\x00",
        b"\x20\x02\x00\x00",
        b"\x36\x00",
        b"\x10\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 8,
    ],
    ids=lambda data: data[:8].hex(),
)
def test_attack_hostile_bytes_before_and_after_connect(world: World, hostile: bytes) -> None:
    credential = world.rig.pki.node()
    with world.rig.raw(credential) as stranger:
        stranger.send(hostile)
        with world.rig.raw(credential) as attacker:
            assert attacker.connect(credential.cn)
            attacker.send(hostile)
            world.assert_victim_is_served()


def test_attack_second_connect_in_one_session(world: World) -> None:
    credential = world.rig.pki.node()
    with world.rig.raw(credential) as attacker:
        assert attacker.connect(credential.cn)
        attacker.send(connect_packet(world.victim_id))
        evil = mark("evil")
        attacker.send(packet(0x30, text(f"k1/{world.victim_id}/up/report") + evil))
        assert attacker.ends()
    world.assert_victim_is_served()
    world.assert_nothing_crossed(evil)


def test_a_burst_arrives_whole(world: World) -> None:
    """Mosquitto drops QoS 1 messages in silence when its queue is bounded, as it is by default."""
    sent = [mark("burst") for _ in range(2000)]
    topic = f"k1/{world.victim_id}/up/report"
    for payload in sent:
        world.victim._mqtt.publish(topic, payload, 1)
    assert world.fleet.receives(sent[-1], 30)
    world.assert_victim_is_served()
    got = {data for _, data in world.fleet.inbox}
    assert [payload for payload in sent if payload not in got] == []


# --- the guards switched off: this very test must see the escape --------------------------------


def test_sabotage_without_permissions_the_assault_is_seen(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(rig, MosquittoRig):
        monkeypatch.setattr(mosquitto, "acl", lambda: "pattern readwrite #\n")
        open_door: Rig = MosquittoRig(tmp_path)
    else:
        monkeypatch.setattr(guarded, "allowed", lambda *_: True)
        open_door = EmbeddedRig(tmp_path)
    try:
        pki = open_door.pki
        with (
            open_door.client(pki.service) as fleet,
            open_door.client(pki.node()) as victim,
            open_door.client(pki.node()) as attacker,
        ):
            assert fleet.connect()
            fleet.subscribe("k1/+/up/#")
            assert victim.connect()
            victim.subscribe(f"k1/{victim.credential.cn}/down/#")
            assert attacker.connect()
            with pytest.raises(AssertionError, match=r"reached the|overheard"):
                assault(World(open_door, fleet, victim), attacker)
    finally:
        open_door.stop()
