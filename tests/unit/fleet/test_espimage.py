import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.flashing import chips, espimage
from fleet.flashing.espimage import Description, ImageError, Segment
from hil.virtual import runtime_image

SEGMENTS = st.lists(
    st.builds(Segment, st.integers(0, 2**32 - 1), st.binary(max_size=300)), min_size=1, max_size=16
)
SMALL = espimage.build(9, 0x40080000, [Segment(0x3FFB0000, b"data"), Segment(0x40080000, b"code")])


@given(SEGMENTS, st.sampled_from(sorted(chips.CHIPS)), st.integers(0, 2**32 - 1))
def test_a_built_image_parses_to_what_was_built(
    segments: list[Segment], chip: str, entry: int
) -> None:
    image_id = chips.CHIPS[chip].image_id
    raw = espimage.build(image_id, entry, segments, 8 << 20)
    image = espimage.parse(raw + b"what follows in flash")
    assert (image.chip_id, image.entry, image.flash_bytes) == (image_id, entry, 8 << 20)
    assert [s.address for s in image.segments] == [s.address for s in segments]
    assert [s.data for s in image.segments] == [s.data + bytes(-len(s.data) % 4) for s in segments]
    assert image.size == len(raw)
    assert chips.by_image_id(image.chip_id) is chips.CHIPS[chip]


@given(st.binary(max_size=400))
def test_any_bytes_give_an_image_or_our_error(raw: bytes) -> None:
    for data in (raw, SMALL[:24] + raw, b"\xe9\x01" + raw):
        try:
            image = espimage.parse(data)
        except ImageError:
            continue
        assert 0 < image.size <= len(data)


@given(st.integers(0, len(SMALL) - 1))
def test_a_cut_image_is_refused(size: int) -> None:
    with pytest.raises(ImageError):
        espimage.parse(SMALL[:size])


@given(st.integers(0, len(SMALL) * 8 - 1))
def test_a_flipped_bit_is_refused(bit: int) -> None:
    raw = bytearray(SMALL)
    raw[bit // 8] ^= 1 << bit % 8
    if bit // 8 == 23:  # the mark of a digest itself: without it there is only the checksum
        return
    with pytest.raises(ImageError):
        espimage.parse(bytes(raw))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\xff" * 100, "it starts with 0xff"),
        (b"\xe9\x11" + bytes(98), "tells of 17 segments"),
        (SMALL[:30], "cut short in the header of segment 0|segment 0"),
        (SMALL[:-33] + b"\0" + SMALL[-32:], "checksum is 0x00"),
        (SMALL[:-1] + bytes([SMALL[-1] ^ 1]), "SHA-256 does not fit"),
    ],
)
def test_the_error_names_what_is_wrong(raw: bytes, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        espimage.parse(raw)


def test_another_flash_size_keeps_the_image_valid() -> None:
    raw = espimage.with_flash_size(SMALL + b"tail", 16 << 20)
    assert espimage.parse(raw).flash_bytes == 16 << 20
    assert espimage.parse(raw).segments == espimage.parse(SMALL).segments
    assert raw.endswith(b"tail")
    with pytest.raises(ImageError, match="3145728"):
        espimage.with_flash_size(SMALL, 3 << 20)


@pytest.mark.parametrize("chip", sorted(chips.CHIPS))
def test_the_stand_in_is_what_esptool_takes_for_an_image(chip: str, tmp_path: Path) -> None:
    whole = runtime_image.make(chip)
    assert whole == runtime_image.make.__wrapped__(chip)
    start = chips.CHIPS[chip].bootloader_offset
    app = whole[0x10000 - start :]
    image = espimage.parse(app)
    assert image.description == Description("micropython", "v1.28.0", "v5.5.1")
    assert espimage.parse(whole).chip_id == image.chip_id
    path = tmp_path / "app.bin"
    path.write_bytes(app)
    told = subprocess.run(
        [sys.executable, "-m", "esptool", "--chip", chip, "image-info", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"Image size: {image.size} bytes" in told
    assert "(valid)" in told
    assert "(invalid)" not in told
    assert "Project name: micropython" in told
