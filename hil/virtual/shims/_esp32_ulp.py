"""`esp32.ULP`: the board executes the program that is loaded here."""

import struct

import _link
import _ops


class ULP:
    RESERVE_MEM = 2040

    def __init__(self):
        pass

    def set_wakeup_period(self, period_index, period_us):
        if period_index != 0:
            raise ValueError("only the first period is used here")
        _link.call(_ops.ULP_PERIOD, struct.pack("<I", period_us))

    def load_binary(self, load_addr, program_binary):
        request = struct.pack("<I", load_addr) + bytes(program_binary)
        if not _link.call(_ops.ULP_LOAD, request)[0]:
            raise OSError(262)  # ESP_ERR_NOT_SUPPORTED, as it is

    def run(self, entry_point):
        _link.call(_ops.ULP_RUN, struct.pack("<I", entry_point))
