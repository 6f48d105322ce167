"""Commands of the fleet: asked for, approved, handed over signed, settled by the node's words."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from coap_rig import WRAPPER
from command_rig import DAY_S, LI, WANG, Town

from fleet.control import commands, releasing
from fleet.control.errors import ControlError
from fleet.control.limits import Limits
from fleet.control.targets import Target
from fleet.identity import hmac_keys
from fleet.identity.authority import Authority
from fleet.registry import operations as registry
from fleet.settings import load
from fleet.upkeep import Upkeep
from fleet.wire import command


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, 3)
    yield made
    made.close()


def states(town: Town) -> list[str]:
    return [f"{state} {why}".strip() for _node, state, why in town.deliveries()]


def test_a_valve_closes_when_two_persons_want_it(town: Town) -> None:
    asked = town.ask()
    assert asked == (1, 1, 0, False)
    meter = town.meter()
    meter.report()
    assert (states(town), meter.done) == (["queued"], [])
    town.approve(1)
    assert states(town) == ["queued"]
    meter.report()
    assert states(town) == ["delivered"]
    assert meter.done == [(1, command.VALVE_CLOSE, [])]
    meter.report([(1, command.DONE)])
    assert states(town) == ["executed"]
    assert rig.query(town.path, "SELECT open, unreleased, due_us FROM commands") == [(0, 0, None)]
    assert rig.query(town.path, "SELECT count(*) FROM readings WHERE quantity >= 900") == [(0,)]


def test_others_need_one_person_and_go_at_once(town: Town) -> None:
    assert town.ask("identify", 60).approved
    meter = town.meter()
    meter.report()
    assert meter.done == [(1, command.IDENTIFY, [60])]


def test_the_time_of_set_time_is_that_of_the_hand_over(town: Town) -> None:
    town.ask("set-time")
    meter = town.meter()
    meter.report()
    ((_, code, (told,)),) = meter.done
    assert code == command.SET_TIME
    assert abs(told - registry.now_us() // 1_000_000) <= 1


@pytest.mark.parametrize(
    ("result", "state"),
    [(command.DONE, "executed"), (command.EXPIRED, "expired"), (command.DANGER, "refused"),
     (command.UNPOWERED, "refused"), (200, "refused")],
)  # fmt: skip
def test_a_result_is_the_command_s_end(town: Town, result: int, state: str) -> None:
    town.ask("reboot")
    meter = town.meter()
    meter.report()
    meter.report([(1, result)])
    assert states(town) == [state]
    assert rig.query(town.path, "SELECT result, trust FROM deliveries") == [(result, 1)]
    assert rig.query(town.path, "SELECT told, refused FROM downlinks") == [
        (f"[[{result}, 0]]", result != 0)
    ]


def test_attack_a_forged_item_does_not_hide_what_becomes_of_the_true_one(town: Town) -> None:
    """Who can write to a node's topic sends it the number that it waits for."""
    town.ask("reboot")
    meter = town.meter()
    (item,) = meter.exchange()
    meter.exchange([(1, command.FORGED)])
    assert states(town) == ["delivered"]
    meter.take(*item)
    meter.report([(1, command.DONE)])
    assert states(town) == ["executed"]
    assert rig.query(town.path, "SELECT result FROM deliveries") == [(command.DONE,)]


def test_a_board_that_was_provisioned_anew_and_not_confirmed(town: Town) -> None:
    """It holds the next key; nobody told the fleet, which finds out by the second try."""
    meter = town.meter()
    with town.database.begin() as session:
        meter._key = bytes(hmac_keys.next_key(session, WRAPPER, meter.node_id))
    town.ask("reboot")
    (item,) = meter.exchange()
    assert meter.take(*item) == command.FORGED
    meter.report([(1, command.FORGED)])
    assert meter.done == [(1, command.REBOOT, [])]


def test_the_running_fleet_releases_what_was_approved_and_ends_what_is_over(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kapok.toml").write_text("[control]\nvalve_per_minute = 2\n")
    settings = load(tmp_path)
    town.limits = Limits(1, 1)
    care = Upkeep(settings, town.database, Authority.open(settings.pki))
    town.approve(town.ask(to=[Target("area", rig.AREA)]).identifier)
    care._command()
    assert rig.query(town.path, "SELECT count(released_us) FROM deliveries") == [(2,)]
    later = registry.now_us() + 2 * DAY_S * 1_000_000
    monkeypatch.setattr("fleet.control.releasing.now_us", lambda: later)
    care._command()
    assert states(town) == ["expired approval-ended"] * 3


def test_a_lost_answer_is_given_again_under_the_same_number(town: Town) -> None:
    town.ask("reboot")
    meter = town.meter()
    for _ in range(3):
        meter.report(lose_answer=True)
    meter.report()
    meter.report()
    assert meter.done == [(1, command.REBOOT, [])]


def test_a_refusal_by_status_alone_is_one_until_a_result_says_more(town: Town) -> None:
    town.ask("reboot")
    meter = town.meter()
    (item,) = meter.exchange()
    assert meter.take(*item, at_s=registry.now_us() // 1_000_000 + 601) == command.EXPIRED
    meter.report()
    assert states(town) == ["refused told"]
    meter.report([(1, command.EXPIRED)])
    assert states(town) == ["expired"]
    assert rig.query(town.path, "SELECT open FROM commands") == [(0,)]


def test_a_result_that_never_comes(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.ask("reboot", lives_s=60)
    meter = town.meter()
    meter.report()
    later = registry.now_us() + 9 * DAY_S * 1_000_000
    monkeypatch.setattr("fleet.control.releasing.now_us", lambda: later)
    town.tick()
    town.tick()
    assert states(town) == ["expired no-result"]
    meter.report([(1, command.DONE)])  # a meter that was out of reach
    assert states(town) == ["executed"]
    assert rig.query(town.path, "SELECT open, due_us FROM commands") == [(0, None)]


def test_a_sleeping_node_gets_it_while_the_approval_lives(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.ask(lives_s=3600)
    town.approve(1)
    start = registry.now_us()
    monkeypatch.setattr(registry, "now_us", lambda: start + 3599 * 1_000_000)
    meter = town.meter()
    ((_, _, payload),) = meter.exchange()
    expiry = command.decode(payload)[3]
    assert expiry <= start // 1_000_000 + 3601, "the node's limit lies within the approval"


def test_taken_back(town: Town) -> None:
    town.ask("reboot", to=[Target("area", rig.AREA)])
    town.meter(0).report()
    with town.database.begin() as session:
        assert commands.cancel(session, 1, LI) == 2
        with pytest.raises(ControlError, match="taken back by Li Wei already"):
            commands.cancel(session, 1, WANG)
    assert states(town) == ["delivered", "expired cancelled", "expired cancelled"]
    late = town.meter(1)
    late.report()
    assert late.done == []


def test_to_a_whole_area_but_only_to_those_that_take_it(town: Town) -> None:
    rig.add_nodes(town.database, 2, "lamppost")
    with town.database.begin() as session:
        registry.add_area(session, "4401", "Guangzhou")
    asked = town.ask(to=[Target("area", "4401")])
    assert asked == (1, 3, 2, False)
    with pytest.raises(ControlError, match="none of the 3"):
        town.ask("dim", 500, 60, to=[Target("area", rig.AREA, "gas-meter")])


def test_whom_it_is_for_is_fixed_when_it_is_asked_for(town: Town) -> None:
    """Who approves it has seen how many it concerns: nobody may join behind his back."""
    town.ask(to=[Target("area", rig.AREA)])
    rig.add_nodes(town.database, 5, "gas-meter")
    town.approve(1)
    assert len(town.deliveries()) == 3


def test_a_node_without_a_key_is_told_of_at_once(town: Town) -> None:
    (other,) = rig.add_nodes(town.database, 1, "gas-meter")
    town.ask("reboot", to=[Target("node", other), Target("node", town.nodes[0])])
    assert sorted(states(town)) == ["queued", "refused no-key"]


def test_a_revoked_node_and_a_full_queue(town: Town) -> None:
    town.ask(to=[Target("node", n) for n in town.nodes])
    with town.database.begin() as session:
        registry.set_state(session, town.nodes[0], "revoked")
    for _ in range(64):
        town.ask("reboot", to=[Target("node", town.nodes[1])])
    town.approve(1)
    assert states(town)[:3] == ["refused gone", "refused queue-full", "queued"]


def test_a_node_that_is_provisioned_anew_gets_nothing_old(town: Town) -> None:
    from fleet.control import operations

    town.ask("reboot")
    town.ask("reboot")
    town.meter().report()
    with town.database.begin() as session:
        operations.cancel(session, town.nodes[0])
    assert states(town) == ["expired provisioned"] * 2
    assert rig.query(town.path, "SELECT open FROM commands") == [(0,), (0,)]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("explode", (), "no such command"),
        ("valve-open", (), "no such command"),
        ("valve-close", (1,), "takes no arguments"),
        ("valve-arm", (), "takes SECONDS"),
        ("valve-arm", (59,), "60 to 86400"),
        ("resend", (1_700_000_000, 1_700_000_000), "before until"),
        ("dim", (1001, 60), "0 to 1000"),
    ],
)
def test_what_is_no_command(town: Town, name: str, arguments: tuple[int, ...], says: str) -> None:
    with pytest.raises(ControlError, match=says):
        town.ask(name, *arguments)
    assert town.deliveries() == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"lives_s": 59}, "60 s to 7 days"),
        ({"lives_s": 8 * DAY_S}, "60 s to 7 days"),
        ({"per_minute": 0}, "1 to 100000"),
        ({"by": " "}, "person's name"),
        ({"to": [Target("group", "none")]}, "no such group"),
        ({"to": [Target("area", "9999")]}, "unknown"),
        ({"to": [Target("node", "1gntj14d2q")]}, "not registered"),
        ({"to": [Target("area", rig.AREA), Target("area", "44")]}, "is unknown"),
    ],
)
def test_what_cannot_be_asked_for(town: Town, more: dict[str, object], says: str) -> None:
    with pytest.raises((registry.RegistryError, ControlError), match=says) as refused:
        town.ask(**more)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_the_rate_is_of_any_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(tmp_path, 12, Limits(5, 100))
    clock = registry.now_us()
    for name in ("commands", "releasing", "operations", "ends"):
        attribute = "clock_us" if name == "operations" else "now_us"
        monkeypatch.setattr(f"fleet.control.{name}.{attribute}", lambda: clock)
    town.ask("reboot", to=[Target("area", rig.AREA)], per_minute=4)
    released = [4]
    for _ in range(40):
        clock += 5_000_000
        released.append(town.tick())
    assert sum(released) == 12
    assert max(sum(released[n : n + 12]) for n in range(len(released))) == 4
    town.close()


def test_one_meter_does_not_wait_behind_a_district(tmp_path: Path) -> None:
    made = Town(tmp_path, 6, Limits(2, 1000))
    many = [Target("node", node_id) for node_id in made.nodes[1:]]
    made.ask(to=many)
    made.ask()
    with made.database.begin() as session:  # as approved while nothing is left for this minute
        commands.approve(session, 1, WANG, Limits(0, 0), account="of Wang")
        commands.approve(session, 2, WANG, Limits(0, 0), account="of Wang")
    assert made.tick() == 2
    released = "SELECT command_id FROM deliveries WHERE released_us IS NOT NULL ORDER BY 1"
    assert rig.query(made.path, released) == [(1,), (2,)]
    made.close()


def test_commands_that_had_their_share_hide_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releasing, "_COMMANDS", 2)
    made = Town(tmp_path, 4)
    for _ in range(2):
        made.ask("read-now", to=[Target("node", each) for each in made.nodes[:2]], per_minute=1)
    made.ask("identify", 60, to=[Target("node", each) for each in made.nodes])
    made.tick()
    assert rig.query(made.path, "SELECT unreleased FROM commands ORDER BY id") == [
        (1,),
        (1,),
        (0,),
    ]
    made.close()


def test_a_search_ends_behind_its_beginning(town: Town) -> None:
    from fleet.control import catalogue

    known = catalogue.by_name("scan")
    catalogue.check(known, [0, 9600, 3, 3])
    with pytest.raises(ControlError, match="first lies before last"):
        catalogue.check(known, [0, 9600, 4, 3])
