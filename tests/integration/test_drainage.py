"""A drainage point on a virtual board: what its sensors show is kept, judged, and told in time."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from drain_rig import HOUR, MINUTE, PINS, SECOND, START, constant, point

from fleet.paths import firmware_dir
from hil.virtual.sensors.ultrasonic import Ultrasonic
from hil.virtual.stimulus import Level, Pulse

LEVEL, SUPPLY, VELOCITY, RAIN, TILT, COVER, WATER, H2S, CH4 = 2, 5, 12, 13, 15, 16, 17, 18, 19
RATE, FLAGS, SAMPLING = 38, 55, 56
HIGH, RISE, STUCK, FAULT, MOVED, CHAMBER, GAS, METHANE, LOST, HEAVY = range(1020, 1030)
GOOD, SUSPECT = 0, 2


async def test_water_that_rises_is_sampled_more_often_and_told_at_once(tmp_path: Path) -> None:
    began, over = START + 2 * HOUR, START + 3 * HOUR

    def level(at: int) -> int:
        if at < over:
            return 400 + 1200 * (max(began, at) - began) // HOUR  # 1.2 m/h for an hour
        return 1600 - min(1200 * (at - over) // (2 * HOUR), 1200)  # and 0.6 m/h back

    async with point(tmp_path, level, level_high_mm=1500, level_back_mm=50, storm_s=120) as p:
        await p.until(START + 7 * HOUR)
        times = [record.at for record in p.records(LEVEL)]
        steps = [(b, (b - a) // SECOND) for a, b in pairwise(times)]
        (rise,) = [record for record in p.records(RISE) if record.values[RISE]]
        # The first sample that can show it is the next one of the quiet grid.
        assert began < rise.at <= began + 15 * MINUTE
        assert 500 <= rise.values[RATE] <= 1300
        assert {step for at, step in steps if START + HOUR < at <= rise.at} == {900}
        assert {step for at, step in steps if rise.at + 2 * MINUTE < at <= over} == {120}
        assert {step for at, step in steps if at > over + 150 * MINUTE} == {900}
        assert p.of(RISE) == [1, 0]
        assert p.of(HIGH) == [1, 0]
        assert (p.of(SAMPLING)[0], p.of(SAMPLING)[-1]) == (2, 0)
        assert len(p.of(LEVEL)) == len(p.sensors.asked)


async def test_a_spike_is_flagged_looked_at_again_and_no_alarm(tmp_path: Path) -> None:
    glitch = START + 2 * HOUR

    def level(at: int) -> int:
        return 4500 if glitch - MINUTE < at < glitch + 30 * SECOND else 400

    async with point(tmp_path, level, fitted=["velocity"]) as p:
        await p.until(START + 3 * HOUR)
        suspects = [record for record in p.records() if record.quality == SUSPECT]
        (values,) = [record.values for record in suspects]
        assert values == {LEVEL: pytest.approx(4500, abs=3), FLAGS: 1}
        times = [record.at for record in p.records(LEVEL)]
        after = times[times.index(suspects[0].at) + 1]
        assert after - suspects[0].at == MINUTE, "a level in doubt is looked at again soon"
        # The velocity of that very moment is not in doubt.
        assert [r.quality for r in p.records(VELOCITY) if r.at == suspects[0].at] == [GOOD]
        assert p.records(RISE) == []


async def test_a_broken_wire_is_a_fault_and_what_it_says_is_kept(tmp_path: Path) -> None:
    async with point(tmp_path, sample_s=300) as p:
        await p.until(START + HOUR)
        p.sensors.loops["level"].broken = True
        await p.until(START + 2 * HOUR)
        assert p.of(FAULT) == [1]
        flagged = p.records(FLAGS)
        assert {record.values[FLAGS] for record in flagged} == {4}
        assert all(record.values[LEVEL] < -500 for record in flagged), "2 mA is below the bottom"
        p.sensors.loops["level"].broken = False
        await p.until(START + 3 * HOUR)
        assert p.of(FAULT) == [1, 0]
        assert len(p.of(LEVEL)) == len(p.sensors.asked)


async def test_each_tip_counts_once_and_hard_rain_is_a_storm(tmp_path: Path) -> None:
    drops = [START + HOUR + i * 20 * SECOND for i in range(90)]  # 36 mm/h for half an hour
    tips = [(at, Pulse(PINS["rain"], 500_000)) for at in drops]
    async with point(tmp_path, schedule=tips, fitted=["rain"]) as p:
        await p.until(START + 4 * HOUR)
        assert p.of(RAIN)[-1] == 90 * 2
        samples = [record.at for record in p.records(LEVEL)]
        assert any(abs(at - drops[0]) <= SECOND for at in samples), "the first tip is no sample"
        (began, ended) = [(r.at, r.values[14]) for r in p.records(HEAVY)]
        assert began[1] >= 200
        assert drops[0] + 5 * MINUTE <= began[0] <= drops[0] + 11 * MINUTE
        assert ended[0] >= drops[-1]
        assert p.of(SAMPLING) == [1, 2, 1, 0]


async def test_a_contact_that_stays_closed_is_one_tip(tmp_path: Path) -> None:
    stuck = [(START + HOUR, Level(PINS["rain"], 1))]
    async with point(tmp_path, schedule=stuck, fitted=["rain"], rising_s=900) as p:
        await p.until(START + 3 * HOUR)
        assert p.of(RAIN)[-1] == 2
        assert p.board.life.wakes < 30


async def test_a_cover_that_is_lifted_wakes_the_node(tmp_path: Path) -> None:
    async with point(tmp_path, fitted=["tilt", "cover", "water"], sample_s=3600) as p:
        sensor = p.node.fittings.accelerometer
        assert sensor is not None
        await p.until(START + HOUR + 10 * MINUTE)
        assert p.of(TILT)[-1] == 0
        sensor.turn(500, 0, 866)  # 30 degrees
        # A contact that finds no fleet may keep it from looking for some minutes.
        await p.soon(lambda: p.of(MOVED) == [1])
        assert p.of(TILT)[-1] == pytest.approx(300, abs=3)
        sensor.turn(0, 0, 1000)
        await p.soon(lambda: p.of(MOVED) == [1, 0])
        # A lorry shakes it less than that.
        wakes = p.board.life.wakes
        sensor.shake(100)
        sensor.shake(0)
        await p.until(p.board.now_us + 10 * MINUTE)
        assert p.board.life.wakes <= wakes + 2


async def test_water_in_the_chamber_is_told_and_does_not_keep_the_node_awake(
    tmp_path: Path,
) -> None:
    flood = [
        (START + HOUR + 100 * SECOND, Level(PINS["water"], 1)),
        (START + 5 * HOUR, Level(PINS["water"], 0)),
    ]
    async with point(tmp_path, schedule=flood, fitted=["water", "tilt", "cover"]) as p:
        await p.until(START + 4 * HOUR)
        (began,) = p.records(CHAMBER)
        assert 0 <= began.at - (START + HOUR + 100 * SECOND) <= 2 * SECOND
        assert p.board.life.wakes < 40
        await p.until(START + 6 * HOUR)
        assert p.of(CHAMBER) == [1, 0]


async def test_gases_and_supply_have_limits_with_hysteresis(tmp_path: Path) -> None:
    async with point(tmp_path, fitted=["h2s", "ch4", "supply"], supply_low_mv=10_500) as p:
        p.board.pins.microvolts[PINS["supply"]] = 1_320_000
        await p.until(START + 2 * HOUR)
        for h2s, ch4, supply in ((120, 260, 950_000), (90, 210, 1_060_000), (70, 190, 1_320_000)):
            p.sensors.loops["h2s"].value = constant(h2s)
            p.sensors.loops["ch4"].value = constant(ch4)
            p.board.pins.microvolts[PINS["supply"]] = supply
            await p.until(p.board.now_us + HOUR)
        assert p.of(GAS) == p.of(METHANE) == p.of(LOST) == [1, 0]
        seen = list(dict.fromkeys(round(tenths, -1) for tenths in p.of(H2S)))
        assert seen == [0, 120, 90, 70], "every value, in order"
        assert len(p.of(H2S)) < len(p.of(LEVEL)) / 2, "gases are measured by the hour"


async def test_a_sensor_that_is_torn_off_is_one_fault_until_it_is_back(tmp_path: Path) -> None:
    async with point(tmp_path, fitted=["tilt", "velocity", "h2s"], sample_s=600) as p:
        await p.until(START + HOUR)
        p.board.i2c.dead = True
        await p.until(START + 2 * HOUR)
        assert p.of(FAULT) == [1], "one event, however often it is asked"
        p.board.i2c.dead = False
        await p.until(START + 4 * HOUR)
        assert p.of(FAULT) == [1, 0]
        p.sensors.loops["h2s"].broken = True
        await p.until(START + 6 * HOUR)
        # Gases are asked by the hour: between two hours nobody knows that it is well again.
        assert p.of(FAULT) == [1, 0, 1]
        assert [r.quality for r in p.records(H2S)][-1] == SUSPECT
        assert {r.quality for r in p.records(VELOCITY)} == {GOOD}


async def test_without_the_guard_a_line_that_stays_high_wakes_the_node_without_end(
    tmp_path: Path,
) -> None:
    sources = tmp_path / "firmware"
    shutil.copytree(firmware_dir(), sources)
    role = sources / "node" / "roles" / "drainage.py"
    text, guard = role.read_text(), " if not self._lines[name].value()]"
    assert text.count(guard) == 1
    role.write_text(text.replace(guard, "]"))
    flood = [(START + 100 * SECOND, Level(PINS["water"], 1))]
    async with point(tmp_path, schedule=flood, sources=sources, fitted=["water"]) as p:
        await p.until(START + 200 * SECOND)
        assert p.board.life.wakes > 40


async def test_an_ultrasonic_sensor_measures_from_above_through_noise(tmp_path: Path) -> None:
    twin = Ultrasonic(lambda at: 2600)
    by = "ultrasonic"
    async with point(tmp_path, twin=twin, level_by=by, mount_mm=3000, sample_s=300) as p:
        p.board.listen(PINS["sense"], twin.switched)
        await p.until(START + HOUR)
        assert set(p.of(LEVEL)) == {400}
        twin.garble = lambda data: b"\xff" + data[:2] + data
        await p.until(START + HOUR + 20 * MINUTE)
        assert set(p.of(LEVEL)) == {400}
        twin.garble = lambda data: data
        twin.distance = lambda at: None
        before = len(p.of(LEVEL))
        await p.until(START + 2 * HOUR)
        assert p.of(FAULT) == [1]
        assert len(p.of(LEVEL)) == before, "silence has no value to keep"
        twin.distance = lambda at: 20
        await p.until(START + 2 * HOUR + 20 * MINUTE)
        assert p.of(FLAGS)[-1] == 4, "too near to be seen"


@pytest.mark.parametrize(("later", "told"), [(1800, [1]), (400, [1, 0])])
async def test_a_power_cut_neither_repeats_nor_forgets_an_event(
    tmp_path: Path, later: int, told: list[int]
) -> None:
    def level(at: int) -> int:
        return 1800 if at < START + HOUR else later

    async with point(tmp_path, level, level_high_mm=1500) as p:
        await p.until(START + HOUR)
        assert p.of(HIGH) == [1]
        await p.board.power_cut()
        p.board.power_on()
        await p.until(START + 3 * HOUR)
        times = [record.at // (900 * SECOND) for record in p.records(LEVEL)]
        assert p.of(HIGH) == told
        assert len(times) >= 8
