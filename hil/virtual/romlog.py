"""What a chip's ROM and bootloader print on UART0 before MicroPython does."""

# Reset reasons as the ROM names them, by MicroPython's reset cause. A watchdog of ours is the task
# watchdog, whose panic ends in a restart by software.
_REASONS = {
    "esp32": {
        1: "0x1 (POWERON_RESET)",
        2: "0xc (SW_CPU_RESET)",
        3: "0xc (SW_CPU_RESET)",
        4: "0x5 (DEEPSLEEP_RESET)",
    },
    "esp32s3": {
        1: "0x1 (POWERON)",
        2: "0xc (RTC_SW_CPU_RST)",
        3: "0xc (RTC_SW_CPU_RST)",
        4: "0x5 (DSLEEP)",
    },
    "esp32c3": {
        1: "0x1 (POWERON)",
        2: "0xc (RTC_SW_CPU_RST)",
        3: "0xc (RTC_SW_CPU_RST)",
        4: "0x5 (DSLEEP)",
    },
}
# After the ROM found nothing to start its own watchdog resets the chip.
_ROM_WATCHDOG = {
    "esp32": "0x10 (RTCWDT_RTC_RESET)",
    "esp32s3": "0x7 (TG0WDT_SYS_RST)",
    "esp32c3": "0x7 (TG0WDT_SYS_RST)",
}
# Esp-rom's reset reasons of each chip (rom/rtc.h), 15.
_BROWN_OUT = {
    "esp32": "0xf (RTCWDT_BROWN_OUT_RESET)",
    "esp32s3": "0xf (RTCWDT_BROWN_OUT_RST)",
    "esp32c3": "0xf (RTCWDT_BROWN_OUT_RST)",
}
_STRAPS = {"esp32": "0x13", "esp32s3": "0x8", "esp32c3": "0xc"}
_HEADS = {
    "esp32": "ets Jul 29 2019 12:21:46\n\n",
    "esp32s3": "ESP-ROM:esp32s3-20210327\nBuild:Mar 27 2021\n",
    "esp32c3": "ESP-ROM:esp32c3-api1-20210207\nBuild:Feb  7 2021\n",
}
_LOADS = {
    "esp32": (
        "configsip: 0, SPIWP:0xee\n"
        "clk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00\n"
        "mode:DIO, clock div:2\nload:0x3fff0030,len:4892\nho 0 tail 12 room 4\n"
        "load:0x40078000,len:14896\nload:0x40080400,len:4\nload:0x40080404,len:3372\n"
        "entry 0x400805b0\n"
    ),
    "esp32s3": (
        "SPIWP:0xee\nmode:DIO, clock div:1\nload:0x3fce2820,len:0xf3c\nload:0x403c8700,len:0x4\n"
        "load:0x403c8704,len:0xc40\nload:0x403cb700,len:0x2f40\nentry 0x403c88b8\n"
    ),
    "esp32c3": (
        "SPIWP:0xee\nmode:DIO, clock div:1\nload:0x3fcd5820,len:0xf3c\nload:0x403cc710,len:0xb44\n"
        "load:0x403ce710,len:0x2f58\nentry 0x403cc71a\n"
    ),
}


def start(chip: str, cause: int, looping: bool, dipped: bool = False) -> bytes:
    """The lines up to the boot mode; `looping`: the ROM's watchdog was the reason, `dipped`: the
    brown-out detector.
    """
    reason = _ROM_WATCHDOG[chip] if looping else _REASONS[chip].get(cause, "0x1 (POWERON)")
    if dipped:
        reason = _BROWN_OUT[chip]
    text = f"{_HEADS[chip]}rst:{reason},boot:{_STRAPS[chip]} (SPI_FAST_FLASH_BOOT)\n"
    return text.replace("\n", "\r\n").encode()


def loads(chip: str) -> bytes:
    """The lines while the ROM loads the bootloader."""
    return _LOADS[chip].replace("\n", "\r\n").encode()
