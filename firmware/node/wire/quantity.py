"""What a number in a record measures: code -> (name, unit, decimals).

A value on the wire is an integer; the unit is divided by 10**decimals, so level 1830 is 1.830 m.
Codes are never reused. 1..99 are readings of an asset, 100.. are about the node itself.
"""

GAS_VOLUME = 1
LEVEL = 2
LAMP_ON = 3
LAMP_DIM = 4
SUPPLY = 5
BATTERY = 100

QUANTITIES = {
    GAS_VOLUME: ("gas_volume", "m3", 3),
    LEVEL: ("level", "m", 3),
    LAMP_ON: ("lamp_on", "", 0),
    LAMP_DIM: ("lamp_dim", "%", 1),
    SUPPLY: ("supply_voltage", "V", 3),
    BATTERY: ("battery_voltage", "V", 3),
}
