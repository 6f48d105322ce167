"""What may be asked of a board over the control socket."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from hil.virtual.bench.control import ControlError
from hil.virtual.bench.pace import FREE
from hil.virtual.bench.place import Place
from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.rig import Switches


def _reset(place: Place, _: dict[str, Any]) -> dict[str, Any]:
    _powered(place)
    place.rig.reset()
    return {"state": place.rig.state}


def _loader(place: Place, _: dict[str, Any]) -> dict[str, Any]:
    _powered(place)
    place.rig.enter_loader()
    return {"state": place.rig.state}


def _power_off(place: Place, _: dict[str, Any]) -> dict[str, Any]:
    place.rig.power_off()
    return {"state": place.rig.state}


def _power_on(place: Place, _: dict[str, Any]) -> dict[str, Any]:
    place.rig.power_on()
    return {"state": place.rig.state, "port": place.rig.wire.name}


async def _renew(place: Place, _: dict[str, Any]) -> dict[str, Any]:
    await place.renew()
    return {"state": place.rig.state}


def _press(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    _powered(place)
    name = asked.get("pin", "button")
    pins = place.board.pins
    if name not in pins:
        raise ControlError(f"{place.spec.board} has no pin {name!r}: {', '.join(pins)}")
    press = getattr(place.application, "press", None)
    if press is None:
        raise ControlError(f"board {place.name} runs nothing that has pins")
    press(pins[name])
    return {}


STATES = ("awake", "asleep", "off", "loader")  # of a board, that `pass` can wait for


def _clock(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    pace = _part(place, "pace", "keeps time")
    rate = asked.get("rate", pace.rate)
    if rate != FREE:
        rate = _number(asked, "rate", pace.rate)
    pace.change(rate, _number(asked, "haste", pace.haste) or pace.haste)
    return {"rate": pace.rate, "haste": pace.haste, **_now(place)}


async def _pass(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    pace = _part(place, "pace", "keeps time")
    until = asked.get("until")
    if until is not None and until not in STATES:
        raise ControlError(f"until cannot be {until!r}: {', '.join(STATES)}")
    await pace.let_pass(round(_number(asked, "seconds", None) * 1_000_000), until)
    return _now(place)


def _stimulus(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    stimuli = _part(place, "stimuli", "has pins")
    found: dict[str, Any] = stimuli.answer(asked)
    place.application.board.kick()  # type: ignore[attr-defined]  # what has stimuli has a board
    return {**found, **_now(place)}


def _modem(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    modem = _part(place, "modem", "has a modem")
    found: dict[str, Any] = modem.answer(asked)
    place.application.board.kick()  # type: ignore[attr-defined]
    return {**found, **_now(place)}


def _current(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    meter = _part(place, "meter", "draws a current")
    told = _now(place)
    since = int(_number(asked, "since_us", told["now_us"], 1e17))
    return {**meter.since(since), **told}


def _brown_out(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    if place.rig.state != "app":
        raise ControlError(f"board {place.name} is {place.rig.state}: nothing runs that could dip")
    dip = _part(place, "brown_out", "has a supply")
    dip(round(_number(asked, "ms", 20) * 1000))
    return _now(place)


def _now(place: Place) -> dict[str, Any]:
    board = _part(place, "board", "keeps time")
    return {"now_us": board.now_us, "board": board.state}


def _part(place: Place, name: str, what: str) -> Any:
    part = getattr(place.application, name, None)
    if part is None:
        raise ControlError(f"board {place.name} runs nothing that {what}")
    return part


def _number(asked: dict[str, Any], key: str, default: float | None, most: float = 1e9) -> float:
    value = asked.get(key, default)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise ControlError(f"{key} cannot be {value!r}: a number from 0 to {most:g}")


def _unplug_after(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    count = asked.get("bytes")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ControlError("unplug-after needs bytes, a number: after how many from the host")
    place.faults.unplug_after = count
    return {}


def _fault(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    return _set(place.faults, Faults, asked.get("set"))


def _switch(place: Place, asked: dict[str, Any]) -> dict[str, Any]:
    return _set(place.rig.switches, Switches, asked.get("set"))


def _state(place: Place, _: dict[str, Any]) -> dict[str, Any]:
    return place.state()


Answered = dict[str, Any] | Awaitable[dict[str, Any]]
DO: dict[str, Callable[[Place, dict[str, Any]], Answered]] = {
    "reset": _reset,
    "loader": _loader,
    "power-off": _power_off,
    "power-on": _power_on,
    "renew": _renew,
    "press": _press,
    "clock": _clock,
    "pass": _pass,
    "stimulus": _stimulus,
    "modem": _modem,
    "current": _current,
    "brown-out": _brown_out,
    "unplug-after": _unplug_after,
    "fault": _fault,
    "switch": _switch,
    "state": _state,
}


def answer(places: dict[str, Place], asked: dict[str, Any]) -> Answered:
    """Do what is asked; ControlError where there is no such board or thing to do."""
    name = asked.get("board")
    place = places.get(str(name)) if isinstance(name, str | int) else None
    if place is None:
        raise ControlError(f"there is no board {name!r}: {', '.join(places)}")
    do = DO.get(str(asked.get("do")))
    if do is None:
        raise ControlError(f"do {asked.get('do')!r} is none of {', '.join(DO)}")
    return do(place, asked)


def _powered(place: Place) -> None:
    if place.rig.state == "off":
        raise ControlError(f"board {place.name} is unplugged: power-on plugs it in")


def _set(target: object, kind: type, values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise ControlError('what is to be set stands in "set", an object')
    # Which of them can be none is told by how they begin, not by what they are now.
    known = {field.name: field.default for field in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise ControlError(f"{key!r} is none of {', '.join(sorted(known))}")
        first = known[key]
        number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if isinstance(first, bool):
            fits = isinstance(value, bool)
        else:
            fits = number or (value is None and first is None)
        if not fits:
            raise ControlError(f"{key} cannot be {value!r}")
    for key, value in values.items():
        setattr(target, key, value)
    return {}
