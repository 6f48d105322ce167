"""A board that is flashed with a release, and with that alone which is for it."""

from pathlib import Path

import pytest
from cli_rig import refusal
from release_rig import METER, keys, of, small, small_image

from fleet.errors import Refusal
from fleet.flashing import built, flash_order, hardware, layout, provision_many
from fleet.flashing.built import Built
from fleet.flashing.provision import Order
from fleet.releases import bundle
from fleet.releases.bundle import Bundle
from fleet.releases.target import Target
from fleet.wire import release
from hil.virtual import runtime_image


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    path = tmp_path / "runtime.bin"
    path.write_bytes(runtime_image.make("esp32s3", "1.29.0"))
    return path


def prepared(runtime: Path, made: Bundle) -> flash_order.Prepared:
    path = runtime.with_name("made.kapok")
    bundle.write(path, made)
    return flash_order.prepare("gas-meter", runtime, [], path)


def test_the_board_gets_the_release_and_nothing_else_changes(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: dict[str, bytes] = {}
    sources = Built({"/boot.py": b"supervisor", "/a.romfs": b"of the sources"}, {})

    def build(_firmware: Path, wanted: Target) -> Built:
        asked.append(wanted)
        return sources

    monkeypatch.setattr(built, "build", build)
    monkeypatch.setattr(layout, "regions", lambda _b, _r, files, _s: placed.update(files) or [])
    asked: list[Target] = []
    prepared(runtime, small(7))._regions(None)
    assert placed == {"/boot.py": b"supervisor", "/a.romfs": small_image(7)}
    flash_order.prepare("gas-meter", runtime, [])._regions(None)
    assert placed == sources.files
    assert asked == [METER, METER]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: of({0: small_image(7, Target("drainage", METER.board))}, 7,
                    Target("drainage", METER.board)), "is for role drainage, not gas-meter"),
        (lambda: of({0: small_image(7, Target("", "devkit"))}, 7, Target("", "devkit")),
         "is for board devkit, not esp32s3-bc660k"),
        (lambda: of({release.KEYS: keys().trust}, 7), "has no application"),
        (lambda: of({0: small_image(8)}, 7), "of another release"),
    ],
)  # fmt: skip
def test_a_release_for_others_is_refused(runtime: Path, made: object, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        prepared(runtime, made())  # type: ignore[operator]


def test_sources_beside_a_bundle_are_wrong_usage(runtime: Path, tmp_path: Path) -> None:
    text = refusal(
        tmp_path, "flash", "--ports", "all", "--node", "gas-meter", "--bundle", runtime,
        "--firmware", tmp_path, code=2,
    )  # fmt: skip
    assert "no --firmware beside it" in text


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([0, "gas-meter", "esp32s3-bc660k"], ""),
        ([7, "", ""], ""),
        ([], ""),
        (None, ""),
        ([0, "gateway", "esp32-ec200"], "its image is for gateway, not gas-meter"),
        ([0, "gas-meter", "devkit"], "its image is for devkit, not esp32s3-bc660k: kapok flash"),
    ],
)
def test_a_board_that_was_flashed_as_another_type_is_said(told: object, why: str) -> None:
    order = Order(hardware.load_node_type("gas-meter"), lambda _node: "")
    assert provision_many.foreign({"release": told}, order).startswith(why)
    assert bool(why) == bool(provision_many.foreign({"release": told}, order))
