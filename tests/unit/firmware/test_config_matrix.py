"""Every key of every role: at its bounds, beyond them, of a wrong type, unknown, of the board."""

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import esp32
import pytest
from node import config, configure, downlink
from node.errors import ConfigError
from node.wire import cbor, receipt

from fleet import schema

PINS = {"tx": 17, "rx": 18}
DONE: list[Any] = []
# Texts and lists whose contents matter as well: what a node would take.
GOOD: dict[str, list[Any]] = {
    "door": ["mqtt"],
    "bearers": [[], ["modem", "ppp"]],
    "lamp_plan": [[], ["dusk-10", 1000, "23:00", 0]],
    "lamp_driver": ["pwm"],
}


def base(role: str) -> dict[str, Any]:
    return {
        "node": "1gntj14d2p", "role": role, "modem": "bc660k", "host": "localhost",
        "port": 5683, "pins": PINS,
    }  # fmt: skip


class Case(NamedTuple):
    role: str
    key: str
    value: Any
    code: int | None  # None: it is taken
    named: str = ""  # by the answer, where that is another key


def integers(role: str, key: str, rule: tuple[Any, ...]) -> Iterator[Case]:
    _, least, most, _ = rule
    yield Case(role, key, least - 1, schema.BELOW)
    yield Case(role, key, most + 1, schema.ABOVE)
    yield Case(role, key, "1", schema.TYPE)
    yield Case(role, key, True, schema.TYPE)
    yield Case(role, key, [], schema.TYPE)
    for value in (least, most):
        try:
            schema.check({**base(role), key: value})
        except schema.SchemaError as e:  # it contradicts another key's default
            yield Case(role, key, value, e.code, e.key)
        else:
            yield Case(role, key, value, None)


def cases() -> Iterator[Case]:
    for role in schema.ROLES:
        yield Case(role, "no_such_key", 1, schema.UNKNOWN)
        for key, rule in schema.rules(role).items():
            if key in schema.FIXED:
                yield Case(role, key, base(role).get(key, ""), schema.BOARDS)
            elif rule[0] is int:
                yield from integers(role, key, rule)
            else:
                yield Case(role, key, 1, schema.TYPE)
                yield Case(role, key, rule[0]("x" * (rule[1] + 1)), schema.ABOVE)
                for value in GOOD.get(key, [rule[0]()]):
                    yield Case(role, key, value, None)


CASES = list(cases())


@pytest.fixture(autouse=True)
def flash() -> Iterator[None]:
    yield
    esp32.flash = esp32.Flash()


def provision(role: str) -> bytes:
    esp32.flash = esp32.Flash()
    raw = cbor.encode(base(role))
    esp32.flash.kept.update(cfg=raw, key=b"k", cert=b"c", ca=b"a")
    return bytes(raw)


def give(case: Case) -> list[Any]:
    results: list[Any] = []
    # A good key beside it: nothing of the patch may be taken when one key is refused.
    patch = cbor.encode({"awake_s": 299, case.key: case.value})
    downlink.handle([[1, receipt.CONFIG, patch]], results=results)
    return results


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.role}-{c.key}-{str(c.value)[:12]}")
def test_the_node_answers_each_and_applies_whole_or_not_at_all(case: Case) -> None:
    before = provision(case.role)
    results = give(case)
    if case.code is None:
        assert results == []
        assert config.whole()[case.key] == case.value
        assert downlink.standing() == [1, 1, 0]
        for _ in range(4):  # the fleet is not reached with it
            configure.failed()
        assert results == []
    else:
        assert results == [(1, case.code, config.key_code(case.named or case.key))]
    assert downlink.standing() == [0, 1, 1]
    assert esp32.flash.kept["cfg"] == before
    assert not config.on_trial()


def test_every_kind_of_answer_is_in_the_matrix() -> None:
    given = {case.code for case in CASES}
    assert given >= {None, schema.UNKNOWN, schema.TYPE, schema.BELOW, schema.ABOVE, schema.BOARDS}
    assert len(CASES) > 60


def test_each_wrong_key_of_a_patch_is_named() -> None:
    provision("gas-meter")
    results: list[Any] = []
    patch = cbor.encode({"awake_s": 1, "attach_s": 9999, "nonsense": 1, "report_s": 600})
    downlink.handle([[1, receipt.CONFIG, patch]], results=results)
    assert sorted(results) == sorted(
        (1, code, config.key_code(key))
        for key, code in (
            ("awake_s", schema.BELOW),
            ("attach_s", schema.ABOVE),
            ("nonsense", schema.UNKNOWN),
        )
    )


def test_what_an_older_firmware_knew_does_not_stop_a_node() -> None:
    provision("gas-meter")
    esp32.flash.kept["cfg"] = cbor.encode({**base("gas-meter"), "gone": 1, "awake_s": 5})
    assert config.load()["awake_s"] == 300
    assert "gone" not in config.load()


@pytest.mark.parametrize("lost", [{"scan_ms"}, {"scan_ms", "freeze_days"}, {"apn"}, {"node"}])
def test_what_a_newer_firmware_demands_between_keys_does_not_stop_a_node(
    monkeypatch: pytest.MonkeyPatch, lost: set[str]
) -> None:
    """An update whose default of one key does not go with `lost`, which were set."""
    own = {"freeze_days": 0, "scan_ms": 30, "apn": "iot"}
    raw = cbor.encode({**base("gas-meter"), **own})
    fresh: Any = importlib.import_module("node.schema")
    real = fresh.check

    def check(values: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = real(values)
        if lost & set(values):
            raise fresh.SchemaError("awake_s", fresh.INVALID, "at odds")
        return found

    monkeypatch.setattr(fresh, "check", check)
    monkeypatch.setattr(config, "forget", lambda name: None)
    if "node" in lost:
        with pytest.raises(ConfigError, match="at odds"):
            config._check(raw)
        return
    common, role = config._check(raw)
    kept = {key for key in own if {**common, **role}.get(key) == own[key]}
    assert kept == set(own) - lost
