"""What differs between the chips that the virtual board plays."""

from typing import NamedTuple


class Chip(NamedTuple):
    """Facts of one chip, from its datasheet and MicroPython's port."""

    rtc_pins: tuple[int, ...]  # those that can end a deep sleep
    adc_pins: tuple[int, ...]  # ADC1; ADC2 is not for general use
    adc_full_mv: tuple[int, int, int, int]  # full scale at 0, 2.5, 6 and 11 dB
    ext1_any_low: bool  # "low" means any of the pins, not all of them
    lacks: tuple[str, ...]  # functions of `esp32` that MicroPython's port has not for it


CHIPS = {
    "esp32": Chip(
        rtc_pins=(0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39),
        adc_pins=(32, 33, 34, 35, 36, 37, 38, 39),
        adc_full_mv=(950, 1250, 1750, 2450),
        ext1_any_low=False,
        lacks=("wake_on_gpio", "mcu_temperature"),
    ),
    "esp32s3": Chip(
        rtc_pins=tuple(range(22)),
        adc_pins=tuple(range(1, 11)),
        adc_full_mv=(950, 1250, 1750, 3100),
        ext1_any_low=True,
        lacks=("wake_on_gpio", "raw_temperature"),
    ),
    # Its RTC has no pins of its own: GPIO 0 to 5 lie in the domain that stays on.
    "esp32c3": Chip(
        rtc_pins=tuple(range(6)),
        adc_pins=tuple(range(5)),
        adc_full_mv=(750, 1050, 1300, 2500),
        ext1_any_low=True,
        lacks=("wake_on_ext0", "wake_on_ext1", "PCNT", "ULP", "wake_on_ulp", "raw_temperature"),
    ),
}
