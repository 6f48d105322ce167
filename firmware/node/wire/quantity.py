"""What a number in a record measures: code -> (name, unit, decimals).

A value on the wire is an integer; the unit is divided by 10**decimals, so level 1830 is 1.830 m.
Codes are never reused. 1 to 99 are readings of an asset, 100 to 199 are about the node, 200 to 299
are readings of an asset that only terminals of other makers bring, 900 to 999 are a node's words
to the fleet about itself, which no asset has; 1000 and above are events.

The application does not load this file: its modules have the codes that they need as private
constants `_Q_<NAME>` and `_E_<NAME>`, and a test holds them to these names.
"""

GAS_VOLUME, LEVEL, GAS_VOLUME_DAY, GAS_VOLUME_MONTH, GAS_REVERSE = 1, 2, 6, 7, 9
SUB_DEVICE = 99
ABOUT_ITSELF = range(900, 1000)

QUANTITIES = {
    1: ("gas_volume", "m3", 3),  # register at the full hour
    2: ("level", "m", 3),
    3: ("lamp_on", "", 0),
    4: ("lamp_dim", "%", 1),
    5: ("supply_voltage", "V", 3),
    6: ("gas_volume_day", "m3", 3),  # register at 00:00 local time
    7: ("gas_volume_month", "m3", 3),  # register at 00:00 of the month's first day
    8: ("gas_flow", "m3/h", 3),
    9: ("gas_reverse", "m3", 3),  # register of what flowed backwards
    10: ("gas_concentration", "%LEL", 1),
    11: ("valve", "", 0),  # 0 open, 1 closed, 2 between (moving, or cut short), 3 stalled
    12: ("flow_velocity", "m/s", 3),
    13: ("rain", "mm", 1),  # total since the node began to count
    14: ("rain_rate", "mm/h", 1),
    15: ("cover_tilt", "deg", 1),
    16: ("cover_open", "", 0),
    17: ("chamber_water", "", 0),
    18: ("h2s", "ppm", 1),
    19: ("ch4", "%LEL", 1),
    20: ("tilt", "deg", 1),
    21: ("active_power", "W", 1),
    22: ("energy", "kWh", 2),
    23: ("power_factor", "", 3),
    24: ("voltage", "V", 1),
    25: ("current", "A", 3),
    26: ("leakage_current", "mA", 0),
    27: ("door_open", "", 0),
    28: ("water_ingress", "", 0),
    29: ("pm2_5", "ug/m3", 1),
    30: ("pm10", "ug/m3", 1),
    31: ("noise", "dB", 1),
    32: ("temperature", "degC", 1),
    33: ("humidity", "%RH", 1),
    34: ("water_volume", "m3", 3),
    35: ("heat", "kWh", 1),
    36: ("flow", "m3/h", 3),
    37: ("pressure", "kPa", 1),
    38: ("level_rate", "m/h", 3),
    39: ("frequency", "Hz", 2),
    40: ("reactive_power", "var", 1),
    41: ("meter_valve", "", 0),  # of a sub-device: 0 open, 1 closed, 3 faulty
    43: ("valve_reason", "", 0),  # the event for which a valve closed by itself, 0: none told
    50: ("voltage_b", "V", 1),  # of a three-phase meter; phase A is voltage and current
    51: ("voltage_c", "V", 1),
    52: ("current_b", "A", 3),
    53: ("current_c", "A", 3),
    54: ("meter_battery_low", "", 0),  # of a sub-device
    55: ("level_flags", "", 0),  # why a level is suspect: 1 outlier, 2 stuck, 4 out of range
    56: ("sampling", "", 0),  # from now on: 0 quiet, 1 rising, 2 storm
    # Which sub-device of a gateway the record is of: its number in the gateway's configuration.
    99: ("sub_device", "", 0),
    100: ("battery_voltage", "V", 3),
    101: ("rsrp", "dBm", 0),
    102: ("coverage_level", "", 0),
    # How long a day's wakes were in each phase; and charge where the board knows it.
    110: ("boot_time", "s", 3),
    111: ("sense_time", "s", 3),
    112: ("attach_time", "s", 3),
    113: ("send_time", "s", 3),
    114: ("listen_time", "s", 3),
    115: ("sleep_time", "s", 3),
    116: ("ulp_time", "s", 3),
    117: ("valve_time", "s", 3),
    118: ("wakes", "", 0),
    119: ("contacts", "", 0),
    120: ("brown_outs", "", 0),
    121: ("flash_erases", "", 0),  # of the most worn sector, as far as the node can count
    122: ("resets", "", 0),
    # Water: HJ 212.
    200: ("cod", "mg/L", 2),  # chemical oxygen demand
    201: ("ammonia_nitrogen", "mg/L", 3),
    202: ("total_phosphorus", "mg/L", 3),
    203: ("total_nitrogen", "mg/L", 3),
    204: ("ph", "", 2),
    205: ("dissolved_oxygen", "mg/L", 2),
    206: ("conductivity", "uS/cm", 1),
    207: ("suspended_solids", "mg/L", 1),
    208: ("permanganate_index", "mg/L", 2),
    209: ("water_temperature", "degC", 2),
    210: ("sewage_flow", "L/s", 3),
    # Air and flue gas: HJ 212.
    220: ("so2", "mg/m3", 3),
    221: ("nox", "mg/m3", 3),
    222: ("no2", "mg/m3", 3),
    223: ("co", "mg/m3", 3),
    225: ("smoke_dust", "mg/m3", 3),
    226: ("nmhc", "mg/m3", 3),  # non-methane hydrocarbons
    227: ("flue_oxygen", "%", 2),
    228: ("flue_velocity", "m/s", 2),
    229: ("flue_temperature", "degC", 1),
    230: ("flue_pressure", "kPa", 3),
    231: ("flue_humidity", "%", 2),
    232: ("waste_gas_flow", "m3/s", 3),
    233: ("wind_speed", "m/s", 2),
    234: ("wind_direction", "deg", 1),
    235: ("air_pressure", "kPa", 2),
    # Stations of water: SL 651.
    250: ("rain_period", "mm", 1),
    251: ("rain_hour", "mm", 1),
    252: ("rain_day", "mm", 1),
    253: ("rain_5_minutes", "mm", 1),  # of the 5 minutes that begin then
    254: ("level_5_minutes", "m", 2),
    255: ("level_above", "m", 3),  # of a gate, a lock or a pump
    256: ("level_below", "m", 3),
    257: ("groundwater_depth", "m", 3),
    258: ("river_flow", "m3/s", 3),
    # What became of an item: its number, a result (docs/protocol.md), and what that says more.
    900: ("item", "", 0),
    901: ("result", "", 0),
    902: ("detail", "", 0),
    # A crash: CRC-32 of its traceback and of the module's name, line, free heap, reset cause.
    910: ("crash", "", 0),
    911: ("crash_module", "", 0),
    912: ("crash_line", "", 0),
    913: ("crash_heap", "B", 0),
    914: ("crash_cause", "", 0),
    # An entry of the log: its code and argument (firmware/node/log.py).
    920: ("log", "", 0),
    921: ("log_argument", "", 0),
    # A device that a search of the bus found: protocol (0 Modbus, 1 DL/T 645, 2 CJ/T 188), address
    # as a decimal number, type in CJ/T 188 and else 0, baud rate. Address -1: the search is over.
    930: ("found_protocol", "", 0),
    931: ("found_address", "", 0),
    932: ("found_type", "", 0),
    933: ("found_baud", "", 0),
}

EVENT = 1000  # the quantity of event n is EVENT + n; its value 1 began, 0 ended

EVENTS = {
    1: "leak",  # a small flow that never ends
    2: "over_flow",
    3: "long_use",
    4: "burst",
    5: "no_use",
    6: "gas",
    7: "tilt",
    8: "earthquake",
    9: "battery_low",
    10: "cover",
    11: "reverse_flow",
    12: "magnet",
    13: "valve_fault",
    14: "register_gap",  # pulses may be missing: power failed without a warning
    15: "valve_closed",  # by the node itself; with it valve_reason
    20: "level_high",
    21: "level_rise",
    22: "sensor_stuck",
    23: "sensor_fault",  # out of its range, or silent
    24: "cover_moved",
    25: "chamber_water",
    26: "h2s",
    27: "ch4",
    28: "supply_lost",
    29: "heavy_rain",
    40: "lamp_failed",
    41: "leakage",
    42: "pole_tilt",
    43: "door",
    44: "water",
    45: "power_lost",
    46: "lamp_by_day",
    60: "device_silent",  # a sub-device
    61: "bus_fault",
    80: "crash",
    81: "brown_out",
    82: "config_reverted",
    83: "storage",
    84: "clock",
}
