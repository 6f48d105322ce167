"""Repeats: known by their bytes, answered by the same bytes, and not for ever."""

import pytest

from fleet.coap import exchanges as module
from fleet.coap.exchanges import Peer, Recent

ADDRESS = ("::ffff:198.51.100.1", 4000, 0, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def peer(datagram: bytes, port: int = 4000) -> Peer:
    return Peer((ADDRESS[0], port, 0, 0), None, datagram)


def test_a_repeat_is_answered_by_the_same_bytes_a_few_times() -> None:
    recent = Recent()
    assert recent.is_new(peer(b"request"))
    assert not recent.is_new(peer(b"request"))
    assert recent.again(peer(b"request")) is None, "it is in work"
    recent.answered(peer(b"request"), b"answer")
    for _ in range(module.RESENT):
        assert not recent.is_new(peer(b"request"))
        assert recent.again(peer(b"request")) == b"answer"
    assert recent.again(peer(b"request")) is None


def test_what_was_not_answered_for_good_is_new_again() -> None:
    recent = Recent()
    recent.is_new(peer(b"request"))
    recent.forget(peer(b"request"))
    assert recent.is_new(peer(b"request"))


def test_attack_a_datagram_before_a_node_s_own_does_not_hide_it() -> None:
    """Same address, port, message ID and token: not the same request."""
    recent = Recent()
    assert recent.is_new(peer(b"\x40\x02\x12\x34\x92\x09\x00\xffguess"))
    assert recent.is_new(peer(b"\x40\x02\x12\x34\x92\x09\x00\xffreport"))
    assert peer(b"a") != peer(b"b")
    assert peer(b"a") != peer(b"a", 4001)


def test_it_forgets_by_time_and_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.is_new(peer(b"old"))
    recent.answered(peer(b"old"), b"answer")
    clock.now = module.REMEMBERED_S + 1
    assert recent.is_new(peer(b"old"))
    assert recent.again(peer(b"old")) is None
    monkeypatch.setattr(module, "REMEMBERED", 10)
    for n in range(100):
        recent.is_new(peer(b"%d" % n))
    assert len(recent) <= 11
    assert not recent.is_new(peer(b"99"))
