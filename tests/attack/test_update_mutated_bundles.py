"""Mutated bundles: a node installs nothing that was not signed as it is."""

import pytest
from mutants import FLOOR, Campaign, Sent, taken
from node.update import manifest, pss
from release_rig import keys

COUNT = 20_000  # a million: make soak-bundles


def test_attack_mutated_bundles() -> None:
    campaign = Campaign(7)
    assert campaign.run(COUNT) == []
    assert campaign.counts.total() == COUNT
    assert len(campaign.counts) == 11


def test_of_several_seeds_each_has_its_own() -> None:
    first, second = Campaign(1), Campaign(2)
    assert first.flipped() != second.flipped()


@pytest.mark.parametrize("kinds", [{"another manifest", "own code", "no algorithm"}])
def test_sabotage_without_the_signature_they_are_in(
    monkeypatch: pytest.MonkeyPatch, kinds: set[str]
) -> None:
    monkeypatch.setattr(pss, "verify", lambda *_: True)
    monkeypatch.setattr(manifest.pss, "verify", lambda *_: True)
    campaign = Campaign(7)
    assert len(campaign.run(300)) > 30
    assert kinds <= set(campaign.counts)


def test_sabotage_any_key_that_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier that believes the modulus in the envelope believes everybody."""
    known = manifest.trust.decode

    def everybody(raw: bytes) -> object:
        return known(raw)._replace(keys=[*known(raw).keys, keys().stranger.modulus])

    monkeypatch.setattr(manifest.trust, "decode", everybody)
    campaign = Campaign(7)
    assert [sent for sent in (campaign.own_key() for _ in range(60)) if taken(sent)]


def test_sabotage_one_root_key_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    known = manifest.trust.decode
    monkeypatch.setattr(manifest.trust, "decode", lambda raw: known(raw)._replace(threshold=1))
    campaign = Campaign(7)
    assert [sent for sent in (campaign.too_few_roots() for _ in range(20)) if taken(sent)]


def test_sabotage_digests_are_not_compared() -> None:
    def careless(sent: Sent) -> bool:
        return taken(campaign._good._replace(envelope=sent.envelope))

    campaign = Campaign(7)
    campaign._judge = careless
    assert campaign.run(300)
    assert FLOOR
