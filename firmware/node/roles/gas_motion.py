"""Whether a gas meter hangs askew or is shaken: by the accelerometer, where the board has one."""

from micropython import const

from node.sense import angle, tilt

_SECOND_MS = const(1000)
_REST_MG = const(60)  # nothing is to be watched: let it rest at a jolt that nobody overlooks


def feel(config: dict, shaken: bool) -> "tuple[int, bool]":
    """(tenths of a degree from how it hung when `tilt_zero` was counted on, whether it shakes
    now). `shaken`: it did, or its line says so; else it is not looked at for long.
    """
    pins = config["pins"]
    sensor = tilt.Tilt(pins["scl"], pins["sda"])
    askew = 0
    if config["tilt_ddeg"]:
        felt = sensor.read()
        askew = angle.between(tilt.upright(config["tilt_zero"], felt), felt)
    limit = config["quake_mg"]
    quake = False
    if limit and (sensor.moved() or shaken):
        # An earthquake shakes in every one of these seconds, a knock in one.
        quake = True
        for _ in range(config["quake_s"]):
            if sensor.peak(_SECOND_MS) < limit:
                quake = False
                break
    sensor.arm(limit or _REST_MG << 4)
    return askew, quake
