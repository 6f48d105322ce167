"""The chips that a node may have: what images and loaders must know of each."""

from typing import NamedTuple


class Chip(NamedTuple):
    """`image_id` is the chip's number in an image's header; `bootloader_offset` in flash.

    Sources: ESP-IDF's `esp_chip_id_t`, and `CONFIG_BOOTLOADER_OFFSET_IN_FLASH` of each chip.
    """

    name: str
    esptool_name: str
    image_id: int
    bootloader_offset: int


CHIPS: dict[str, Chip] = {
    "esp32": Chip("esp32", "esp32", 0, 0x1000),
    "esp32s3": Chip("esp32s3", "esp32s3", 9, 0x0),
    "esp32c3": Chip("esp32c3", "esp32c3", 5, 0x0),
}


def by_image_id(image_id: int) -> Chip | None:
    """The chip that an image with this number is for, or None."""
    for chip in CHIPS.values():
        if chip.image_id == image_id:
            return chip
    return None
