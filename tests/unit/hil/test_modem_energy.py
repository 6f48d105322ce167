"""The energy ledger: current times voltage times time, and nothing else."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_port import Port

from hil.virtual.modem import energy
from hil.virtual.modem.energy import Ledger, Power
from hil.virtual.modem.families import FAMILIES
from hil.virtual.modem.radio import Burst

POWER = Power(
    technology="nb-iot",
    volts=4.0,
    minimum_volts=2.0,
    ma={"off": 0.0, "psm": 0.001, "light_sleep": 0.1, "idle": 10.0, "rx": 30.0},
    tx=((0, 50.0), (10, 100.0), (20, 300.0)),
)


def ledger(port: Port) -> Ledger:
    made = Ledger(POWER, port.now)
    made.base("idle")
    return made


def test_millijoules_are_milliamperes_times_volts_times_seconds() -> None:
    port = Port()
    book = ledger(port)
    mark = book.mark()
    port.run(10)
    assert book.since(mark).mj == pytest.approx(10 * 10.0 * 4.0)
    book.base("psm")
    port.run(1000)
    used = book.since(mark)
    assert used.mj_by_state == pytest.approx({"idle": 400.0, "psm": 4.0})
    assert used.seconds == pytest.approx({"idle": 10.0, "psm": 1000.0})
    assert used.awake_s == pytest.approx(10.0)


def test_radio_time_is_counted_as_it_passes() -> None:
    port = Port()
    book = ledger(port)
    mark = book.mark()
    bursts = [Burst("rx", 1_000_000), Burst("wait", 500_000), Burst("tx", 2_000_000, 20)]
    book.play(bursts, port.now() + 1_000_000)
    port.run(3)
    half = book.since(mark)
    assert half.seconds == pytest.approx({"idle": 1.0, "rx": 1.0, "connected": 0.5, "tx": 0.5})
    assert book.state == "tx"
    port.run(2)
    used = book.since(mark)
    assert used.seconds["tx"] == pytest.approx(2.0)
    assert used.mj_by_state["tx"] == pytest.approx(2 * 300 * 4)
    assert sum(used.seconds.values()) == pytest.approx(5.0)


def test_what_is_cut_off_costs_nothing() -> None:
    port = Port()
    book = ledger(port)
    mark = book.mark()
    book.play([Burst("tx", 10_000_000, 20)], port.now())
    port.run(1)
    book.cut(port.now() + 1_000_000)
    port.run(9)
    assert book.since(mark).seconds == pytest.approx({"tx": 2.0, "idle": 8.0})


def test_the_tail_mixes_listening_and_waiting() -> None:
    port = Port()
    book = ledger(port)
    mark = book.mark()
    book.tail(port.now(), 10_000_000, 0.25)
    port.run(10)
    assert book.since(mark).mj == pytest.approx(10 * 4 * (0.25 * 30 + 0.75 * 10))


@pytest.mark.parametrize(
    ("dbm", "ma"), [(-40, 50), (0, 50), (5, 75), (10, 100), (15, 200), (20, 300), (23, 300)]
)
def test_current_between_the_known_powers(dbm: int, ma: float) -> None:
    assert POWER.transmitting(dbm) == pytest.approx(ma)


def test_marks_are_of_their_own() -> None:
    port = Port()
    book = ledger(port)
    first = book.mark()
    port.run(1)
    second = book.mark()
    book.octets(up=100, down=20)
    port.run(1)
    assert book.since(first).seconds["idle"] == pytest.approx(2.0)
    used = book.since(second)
    assert used.seconds["idle"] == pytest.approx(1.0)
    assert (used.up_octets, used.down_octets) == (100, 20)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["base", "play", "cut", "run"]),
            st.integers(0, 5_000_000),
            st.sampled_from(["idle", "psm", "rx", "off"]),
        ),
        max_size=40,
    )
)
@settings(max_examples=80, deadline=None)
def test_no_second_is_counted_twice_or_forgotten(steps: list[tuple[str, int, str]]) -> None:
    port = Port()
    book = ledger(port)
    mark = book.mark()
    for what, us, state in steps:
        if what == "base":
            book.base(state)
        elif what == "play":
            book.play([Burst("tx", us, 20), Burst("rx", us)], max(port.now(), book.end_us))
        elif what == "cut":
            book.cut(port.now() + us)
        else:
            port.run(us / 1e6)
    used = book.since(mark)
    assert sum(used.seconds.values()) == pytest.approx(port.seconds, abs=1e-6)
    assert 0 <= used.mj <= port.seconds * 300 * 4 + 1e-9


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_figures_that_make_sense(family: str) -> None:
    power = energy.load(family)
    assert power.technology in ("nb-iot", "lte-cat1")
    ma = power.ma
    assert ma["off"] <= ma["light_sleep"] <= ma["idle"] <= ma["rx"] <= power.tx[-1][1]
    assert power.minimum_volts < power.volts
    assert power.tx[-1][0] == 23


def test_a_file_that_lacks_a_figure_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modems").mkdir()
    file = tmp_path / "modems" / "x.toml"
    monkeypatch.setattr(energy, "hw_dir", lambda: tmp_path)
    file.write_text('technology = "nb-iot"\n[power_ma]\noff = 0\n[power_ma.tx]\n23 = 1\n')
    with pytest.raises(ValueError, match=r"^x\.toml: psm is missing$"):
        energy.load("x")
    file.write_text(
        'technology = "nb-iot"\n[supply]\nvolts = 3\nminimum_volts = 2\n'
        "[power_ma]\noff=0\npsm=0\nlight_sleep=0\nidle=0\nrx=0\n[power_ma.tx]\n3 = 9\n23 = 1\n"
    )
    with pytest.raises(ValueError, match=r"^x\.toml: power_ma\.tx must rise"):
        energy.load("x")
