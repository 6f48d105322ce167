"""Commands on the air: recorded, given again, late, to another node, under another number."""

import hmac
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from command_rig import Town, key_of

from fleet.control import stamping
from fleet.control.operations import COMMAND
from fleet.control.targets import Target
from fleet.registry.operations import now_us
from fleet.wire import command


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, 2)
    yield made
    made.close()


def closing(town: Town) -> None:
    """Both meters are to close."""
    asked = town.ask(to=[Target("node", n) for n in town.nodes])
    town.approve(asked.identifier)


def test_attack_every_command_ever_sent_is_sent_again_in_every_later_state(town: Town) -> None:
    meter = town.meter()
    recorded: list[tuple[int, bytes]] = []
    for round_ in range(6):
        closing(town)
        for number, kind, payload in meter.exchange():
            meter.take(number, kind, payload)
            recorded.append((number, payload))
        for number, payload in recorded * 2:
            meter.take(number, COMMAND, payload)
        assert len(meter.done) == round_ + 1
    assert [number for number, _code, _arguments in meter.done] == list(range(1, 7))


def test_sabotage_without_the_counter_a_replay_closes_again(town: Town) -> None:
    closing(town)
    meter = town.meter()
    ((number, kind, payload),) = meter.exchange()
    meter.take(number, kind, payload)
    meter._handled = 0
    meter.take(number, kind, payload)
    assert len(meter.done) == 2


def test_attack_a_command_of_one_meter_is_given_to_another(town: Town) -> None:
    closing(town)
    one, other = town.meter(0), town.meter(1)
    ((number, kind, payload),) = one.exchange()
    assert other.take(number, kind, payload) == command.FORGED
    ((number, kind, own),) = other.exchange()
    assert own != payload
    assert other.take(number, kind, own) == command.DONE


def test_attack_a_command_under_a_later_number(town: Town) -> None:
    """Else a recording would be good for ever."""
    closing(town)
    meter = town.meter()
    ((number, kind, payload),) = meter.exchange()
    for later in (number + 1, number + 100, (1 << 31) - 1):
        assert meter.take(later, kind, payload) == command.FORGED


@pytest.mark.parametrize("place", range(4))
def test_attack_a_command_that_was_changed_on_its_way(town: Town, place: int) -> None:
    town.ask("identify", 60)
    meter = town.meter()
    ((number, kind, payload),) = meter.exchange()
    code, arguments, identifier, expiry, mac = command.decode(payload)
    parts: list[object] = [code, arguments, identifier, expiry]
    parts[place] = [3600] if place == 1 else expiry + 1 if place == 3 else 2
    changed = command.encode(*parts, mac)  # type: ignore[arg-type]
    assert meter.take(number, kind, changed) == command.FORGED


def test_attack_a_command_is_held_back_for_more_than_ten_minutes(town: Town) -> None:
    closing(town)
    meter = town.meter()
    ((number, kind, payload),) = meter.exchange()
    now = now_us() // 1_000_000
    assert command.decode(payload)[3] <= now + command.LONGEST_S
    assert meter.take(number, kind, payload, at_s=now + 601) == command.EXPIRED
    assert meter.done == []


def test_attack_a_queue_that_is_read_holds_nothing_that_a_node_would_take(town: Town) -> None:
    """Who reads the database, or a backup of it, has no command: it is signed at the hand-over."""
    closing(town)
    ((number, payload),) = rig.query(
        town.path, "SELECT number, payload FROM downlinks WHERE node_id = ?", town.nodes[0]
    )
    with pytest.raises(command.ReportError):
        town.meter().take(number, COMMAND, payload)
    key = key_of(town.database, town.nodes[0])
    assert key not in town.path.read_bytes()


def test_attack_one_node_tells_of_another_s_commands(town: Town) -> None:
    closing(town)
    one, other = town.meter(0), town.meter(1)
    one.exchange()
    # It was handed nothing yet: whatever it says of the number 1 is of nothing that it has.
    other.exchange([(1, command.DONE)])
    assert [state for _node, state, _why in town.deliveries()] == ["delivered", "delivered"]
    assert rig.query(town.path, "SELECT count(*) FROM deliveries WHERE result IS NOT NULL") == [
        (0,)
    ]


def test_attack_results_of_items_that_were_never_given(town: Town) -> None:
    meter = town.meter()
    closing(town)
    for number, result in ((1, 0), (2, 0), (0, 0), (-1, 0), (2**62, 0), (1, 2**40), (1, -1)):
        meter.exchange([(number, result)])
    assert rig.query(town.path, "SELECT result FROM deliveries WHERE result IS NOT NULL") == []
    meter.exchange([(1, command.DONE)])
    meter.exchange([(1, command.FAILED)])  # the first one counts
    assert rig.query(town.path, "SELECT result FROM deliveries WHERE node_id = ?", meter.node_id) \
        == [(command.DONE,)]  # fmt: skip


def test_attack_a_result_from_a_technician_s_file_is_marked(town: Town) -> None:
    closing(town)
    meter = town.meter()
    meter.exchange()
    body = rig.report.encode_body(now_us() // 1_000_000, 0, [(900, 1), (901, 0), (902, 0)])
    sent = rig.report.encode(77, now_us() // 1_000_000, [(1, body)], {})
    town.ingest.process([rig.message(meter.node_id, sent, now_us())._replace(trust=0)])
    assert rig.query(town.path, "SELECT state, trust FROM deliveries WHERE trust IS NOT NULL") == [
        ("executed", 0)
    ]


def test_the_mac_is_the_one_of_the_page(town: Town) -> None:
    """The fleet's signature, made here by hand once more."""
    town.ask("identify", 60)
    ((number, _kind, payload),) = town.meter().exchange()
    code, arguments, identifier, expiry, mac = command.decode(payload)
    text = command.signed(town.nodes[0], number, code, arguments, identifier, expiry)
    whole = hmac.new(key_of(town.database, town.nodes[0]), text, "sha256").digest()
    assert (mac, len(mac)) == (whole[:16], 16)


def test_a_key_that_cannot_be_had_costs_no_receipt(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing(town)
    meter = town.meter()
    monkeypatch.setattr(stamping.hmac_keys, "current", lambda *_arguments: {})
    assert meter.exchange() == []
    assert town.deliveries()[0][1] == "queued"
