"""The node's and the network's end of PPP against each other, on lines good and bad."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ppp_peers import ADDRESS, Peers

from hil.virtual.modem.ppp import GATEWAY, SERVERS, octets
from hil.virtual.shims import _hdlc, _pppfsm, _ppplcp, _pppoptions
from hil.virtual.shims._pppnode import NodeIpcp

NONE, PAP, CHAP = 0, 1, 2
LCP, IPCP = _ppplcp.LCP, _ppplcp.IPCP


def packets(peers: Peers, name: str) -> list[tuple[int, bytes]]:
    """What one end put on the line."""
    found: list[tuple[int, bytes]] = []
    deframer = _hdlc.Deframer(lambda protocol, payload: found.append((protocol, payload)))
    deframer.accm = 0
    for who, data in peers.wire:
        if who == name:
            deframer.feed(data)
    return found


def up(security: int = NONE) -> Peers:
    """Peers that are connected."""
    peers = Peers()
    peers.node.security = security
    peers.node.user, peers.node.key = b"user", b"secret"
    peers.start()
    peers.run(60_000, lambda: peers.up)
    assert peers.up
    return peers


@pytest.mark.parametrize("security", [NONE, PAP, CHAP])
def test_the_link_comes_up_with_addresses_and_name_servers(security: int) -> None:
    peers = up(security)
    assert peers.now_ms < 500
    assert peers.node.ipcp.mine == octets(ADDRESS)
    assert peers.node.ipcp.theirs == octets(GATEWAY)
    assert isinstance(peers.node.ipcp, NodeIpcp)
    assert peers.node.ipcp.servers == [octets(server) for server in SERVERS]
    proofs = {protocol for protocol, _ in packets(peers, "node")} & {_ppplcp.PAP, _ppplcp.CHAP}
    assert proofs == {NONE: set(), PAP: {_ppplcp.PAP}, CHAP: {_ppplcp.CHAP}}[security]
    if security == PAP:
        request = dict(packets(peers, "node"))[_ppplcp.PAP]
        assert request == b"\x01\x01\x00\x10\x04user\x06secret"


def test_the_answer_to_a_challenge_is_that_of_rfc_1994() -> None:
    peers = up(CHAP)
    challenge = dict(packets(peers, "network"))[_ppplcp.CHAP]
    first = next(p for protocol, p in packets(peers, "network") if protocol == _ppplcp.CHAP)
    answer = dict(packets(peers, "node"))[_ppplcp.CHAP]
    digest = hashlib.md5(first[1:2] + b"secret" + first[5:21], usedforsecurity=False).digest()
    assert answer == b"\x02" + first[1:2] + b"\x00\x19\x10" + digest + b"user"
    assert challenge[0] == 3  # success


def test_both_ends_answer_echoes_with_their_magic_number() -> None:
    peers = up()
    peers.node.lcp.echo()
    peers.network.lcp.echo()
    peers.run(1_000)
    assert (peers.node.lcp.echoes, peers.network.lcp.echoes) == (1, 1)
    for name, end in (("node", peers.node), ("network", peers.network)):
        replies = [p for protocol, p in packets(peers, name) if protocol == LCP and p[0] == 10]
        assert [reply[4:] for reply in replies] == [end.lcp.magic]
    assert peers.node.lcp.magic != peers.network.lcp.magic


def test_the_node_ends_the_link() -> None:
    peers = up()
    peers.node.close()
    peers.run(10_000)
    assert peers.node.ended == _ppplcp.USER
    assert not peers.node.up
    assert peers.ended == 1
    assert peers.told == [True, False]


def test_the_network_ends_the_link() -> None:
    peers = up()
    peers.network.close()
    peers.run(100)
    assert not peers.node.up  # at once; the end itself comes when the peer surely has the answer
    assert peers.node.ended is None
    peers.run(10_000)
    assert peers.node.ended == _ppplcp.CONNECT
    assert peers.ended == 1


@pytest.mark.parametrize("name", ["node", "network"])
def test_a_peer_that_is_silent_is_given_up(name: str) -> None:
    peers = Peers(lambda data: [])
    (peers.node if name == "node" else peers.network).start()
    peers.run(40_000)
    assert peers.sent[name] == _pppfsm.CONFIGURE_MOST
    assert (peers.node.ended == _ppplcp.CONNECT) if name == "node" else (peers.ended == 1)


def test_a_peer_that_goes_silent_does_not_hold_up_the_end() -> None:
    dead: list[bytes] = []
    peers = Peers(lambda data: dead if peers.now_ms > 1_000 else [data])
    peers.start()
    peers.run(2_000)
    assert peers.up
    peers.node.close()
    peers.run(7_000)
    assert peers.node.ended == _ppplcp.USER


def test_a_line_that_is_looped_back_is_noticed() -> None:
    peers = Peers()
    node = peers.node
    node._write = lambda data: peers._at(20, lambda: node.feed(data))
    node.start()
    peers.run(60_000)
    assert not node.up
    assert node.ended == _ppplcp.LOOPED


def test_a_protocol_that_the_network_lacks_is_rejected() -> None:
    peers = up()
    peers.node.transmit(0x8057, b"\x01\x01\x00\x0e\x01\x0a" + bytes(8))  # IPv6CP, as lwIP sends it
    peers.run(100)
    protocol, packet = packets(peers, "network")[-1]
    assert (protocol, packet[0], packet[4:6]) == (LCP, 8, b"\x80\x57")
    assert peers.up


def test_a_link_without_ip_is_no_link() -> None:
    peers = up()
    reject = bytes((8, 1, 0, 6)) + b"\x80\x21"
    peers.network.transmit(LCP, reject)
    peers.run(20_000)
    assert not peers.node.up
    assert peers.node.ended == _ppplcp.CONNECT


def test_an_unknown_code_is_rejected_and_no_more() -> None:
    peers = up()
    peers.node.transmit(LCP, b"\x63\x07\x00\x06ab")
    peers.run(100)
    assert packets(peers, "network")[-1][1][0] == _pppoptions.CODE_REJ
    assert peers.up


def test_a_request_in_an_open_link_negotiates_it_anew() -> None:
    peers = up()
    peers.node.transmit(LCP, b"\x01\x63\x00\x04")
    peers.run(10_000)
    assert peers.up
    assert peers.node.ups == 2


def test_a_peer_that_insists_is_refused_in_the_end() -> None:
    """An address of its own choice, for ever: five Naks, then a Reject."""
    ipcp = Peers().network.ipcp
    wish = b"\x03\x06\x01\x02\x03\x04"
    answers = [ipcp.judge([(3, wish[2:])], wish) for _ in range(7)]
    assert answers[:5] == [(3, b"\x03\x06" + octets(ADDRESS))] * 5
    assert answers[5:] == [(4, wish)] * 2
    right = b"\x03\x06" + octets(ADDRESS)
    assert ipcp.judge([(3, right[2:])], right) == (2, right)
    assert ipcp.judge([(3, wish[2:])], wish)[0] == 3


def test_a_peer_that_never_has_enough_is_not_followed_for_ever() -> None:
    lcp = Peers().node.lcp
    for number in range(12):
        lcp.adjust([(2, bytes((0, 0, 0, number)))], True)
    assert 2 not in dict(lcp.wishes)


@given(st.integers(0, 2), st.integers(0, 1 << 30), st.sampled_from([5, 15, 30]))
@settings(max_examples=60, deadline=None)
def test_loss_and_duplicates_delay_the_link_and_no_more(
    security: int, seed: int, percent: int
) -> None:
    chance = random.Random(seed)

    def fate(data: bytes) -> list[bytes]:
        if peers.now_ms > 20_000:  # the line gets better: then it must come up
            return [data]
        luck = chance.randrange(100)
        if luck < percent:
            return []
        if luck < 2 * percent:
            return [data, data]
        if luck < 2 * percent + 5:
            broken = bytearray(data)
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            return [bytes(broken)]
        return [data]

    peers = Peers(fate, seed)
    peers.node.security = security
    peers.start()
    peers.run(120_000, lambda: peers.up or peers.node.ended is not None)
    assert peers.up or peers.now_ms > 20_000
    if peers.up:
        assert peers.node.ipcp.mine == octets(ADDRESS)
        peers.node.close()
    peers.run(60_000)
    assert peers.node.ended is not None
    assert sum(peers.sent.values()) < 400


@given(
    st.lists(
        st.tuples(
            st.sampled_from([LCP, IPCP, 0xC023, 0xC223, 0x21, 0x57]), st.binary(max_size=40)
        ),
        max_size=30,
    ),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_any_packets_are_taken_by_both_ends(
    script: list[tuple[int, bytes]], open_first: bool
) -> None:
    peers = Peers()
    peers.start()
    if open_first:
        peers.run(60_000, lambda: peers.up)
    for protocol, payload in script:
        line = _hdlc.frame(protocol, payload)
        before = sum(peers.sent.values())
        peers.node.feed(line)
        peers.network.feed(line)
        assert sum(peers.sent.values()) - before <= 6
    peers.node.close()
    peers.network.close()
    peers.run(120_000)
    assert peers.node.ended is not None


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_any_bytes_are_taken_by_both_ends(noise: list[bytes]) -> None:
    peers = Peers()
    peers.start()
    for data in noise:
        peers.node.feed(data)
        peers.network.feed(data)
    peers.run(60_000, lambda: peers.up)
    assert peers.up
