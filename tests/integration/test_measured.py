"""The figures from which `kapok battery` computes are those of the firmware as it is now."""

from pathlib import Path

from fleet.battery import measured
from tests.bench.measure import measured as measure

# Two contacts instead of six: their random access and block errors are by chance.
RADIO = 0.35


async def test_a_fresh_measurement_agrees_with_the_file(tmp_path: Path) -> None:
    kept = measured.load("gas-meter")
    fresh = await measure("gas-meter", ("coap",), ("ecl1",), 2, tmp_path)
    was, now = kept.contacts["coap"]["ecl1"], fresh.contacts["coap"]["ecl1"]
    assert abs(now.up - was.up) <= 6
    assert abs(now.down - was.down) <= 6
    assert abs(now.up_plain - was.up_plain) <= 6
    assert abs(now.modem_mj / was.modem_mj - 1) <= RADIO
    assert abs(now.modem_ms / was.modem_ms - 1) <= RADIO
    assert abs(fresh.sense.boot_ms - kept.sense.boot_ms) <= 30
    # Not `turns`: processor time, and of one idle machine it differs by more than a factor of two.
    awake_ms = (now.attach_ms + now.send_ms) / (was.attach_ms + was.send_ms)
    assert 0.5 <= awake_ms <= 2.0
