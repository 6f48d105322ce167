"""A hub of boards at once: a bad one stops no other, and an ended run leaves every one marked."""

import threading
import time
from pathlib import Path

import pytest
from bench_rig import bench
from flash_rig import MIB, VFS, order, regions

from fleet.flashing import flash_board, flash_many, marks
from fleet.flashing.esptool_run import Stop
from fleet.flashing.flash_board import Order, Progress, Result
from fleet.flashing.loader_session import hub_lock
from fleet.flashing.ports import find


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KAPOK_BENCH", str(tmp_path / "b"))


def _flash(wanted: Order, stop: Stop | None = None) -> tuple[dict[str, Result], list[Progress]]:
    heard: list[Progress] = []
    ports = find(["virtual:*"])
    results = flash_many.flash_many(
        ports, wanted, stop=stop or Stop(), on_progress=heard.append, on_result=lambda _: None
    )
    assert [result.port for result in results] == [port.name for port in ports]
    return {result.port: result for result in results}, heard


def _has(folder: Path, name: str) -> bool:
    flash = (folder / name / "flash.bin").read_bytes()
    return all(flash[r.offset : r.offset + len(r.data)] == r.data for r in regions())


def test_one_bad_board_stops_no_other(tmp_path: Path) -> None:
    odd = ("--also", "esp32-ec200", "--also", "esp32s3-bc660k,dies-at=60%")
    with bench(tmp_path / "b", "--boards", "3", *odd):
        results, heard = _flash(order(tmp_path / "a", regions()))
        good = ["virtual:1", "virtual:2", "virtual:3"]
        assert [results[name].result for name in good] == [flash_board.FLASHED] * 3
        assert all(_has(tmp_path / "b", str(number)) for number in (1, 2, 3))
        assert len({results[name].node_id for name in good}) == 3
        assert "the chip is esp32, the board file says esp32s3" in results["virtual:4"].error
        died = results["virtual:5"]
        assert died.result == flash_board.FAILED
        mark = marks.get(bytes.fromhex(died.mac))
        assert mark is not None
        assert mark.state == marks.FAILED
        fractions = [each.fraction for each in heard if each.port == "virtual:1"]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


def test_whoever_ends_it_finds_every_board_finished_or_marked(tmp_path: Path) -> None:
    stop = Stop()
    with bench(tmp_path / "b", "--boards", "2", pace="real"):
        ports = find(["virtual:*"])

        def until_written(progress: Progress) -> None:
            if progress.phase == "ota_0" and progress.fraction > 0.2:
                stop.all()

        began = time.monotonic()
        results = flash_many.flash_many(
            ports, order(tmp_path / "a", regions()), stop=stop,
            on_progress=until_written, on_result=lambda _: None,
        )  # fmt: skip
        assert time.monotonic() - began < 60
        assert {result.result for result in results} == {flash_board.INTERRUPTED}
        for result in results:
            if result.mac:
                mark = marks.get(bytes.fromhex(result.mac))
                assert mark is None or mark.state == marks.INTERRUPTED
        assert any(result.error.endswith("at region ota_0") for result in results)
        assert not _has(tmp_path / "b", "1")


def test_the_boards_of_one_hub_reset_one_after_another(tmp_path: Path) -> None:
    with bench(tmp_path / "b", "--boards", "2"):
        one, two = find(["virtual:*"])
        assert one.hub == two.hub
        held = hub_lock(one.hub)
        done = threading.Event()

        def flash_all() -> None:
            _flash(order(tmp_path / "a", regions()))
            done.set()

        with held:
            thread = threading.Thread(target=flash_all)
            thread.start()
            assert not done.wait(1.5)  # no board has entered its loader
            assert (tmp_path / "b" / "1" / "flash.bin").read_bytes()[:MIB] == b"\xff" * MIB
        assert done.wait(60)
        thread.join()


def test_the_plan_has_no_region_for_who_a_node_is(tmp_path: Path) -> None:
    from flash_rig import Region

    with pytest.raises(ValueError, match="NVS is never part"):
        order(tmp_path / "a", [Region("nvs", 0x9000, b"x")])
    assert VFS.offset in [piece.offset for piece in order(tmp_path / "b", regions()).plan().pieces]
