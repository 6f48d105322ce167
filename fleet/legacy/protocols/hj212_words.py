"""The codes of HJ 212-2017, 6.6, and of HJ/T 212-2005: systems, commands, results, data flags."""

from fleet.legacy.protocols.frame import ESTIMATED, GOOD, SUSPECT

SYSTEMS = {
    "21": "surface water quality", "22": "air quality", "23": "ambient noise",
    "24": "groundwater quality", "25": "soil quality", "26": "sea water quality",
    "27": "volatile organic compounds", "31": "air pollution source",
    "32": "surface water pollution source", "33": "groundwater pollution source",
    "34": "sea pollution source", "35": "soil pollution source", "36": "noise source",
    "37": "vibration source", "38": "radioactivity source", "39": "construction site dust",
    "41": "electromagnetic source", "51": "flue gas treatment", "52": "sewage treatment",
    "91": "interaction",
}  # fmt: skip
COMMANDS = {
    "1000": "set timeout and repeats", "1001": "set duration before an alarm",
    "1011": "get time", "1012": "set time", "1013": "ask for time calibration",
    "1021": "get alarm limits", "1022": "set alarm limits",
    "1031": "get address of the master station", "1032": "set address of the master station",
    "1041": "get time of reports", "1042": "set time of reports",
    "1061": "get interval of real-time data", "1062": "set interval of real-time data",
    "1063": "get interval of minute data", "1064": "set interval of minute data",
    "1072": "set password", "2011": "real-time data", "2012": "stop real-time data",
    "2021": "state of equipment", "2022": "stop state of equipment", "2031": "daily data",
    "2041": "daily running time of equipment", "2051": "minute data", "2061": "hourly data",
    "2071": "alarm data", "2072": "alarm", "2081": "start time of the data logger",
    "3011": "calibrate zero and range", "3012": "sample at once", "3013": "clean or blow back",
    "3014": "sample to compare", "3015": "keep a sample over the limit",
    "3016": "set sampling period", "3017": "get sampling period", "3018": "get sampling duration",
    "3019": "get device identity", "3020": "get device information",
    "3021": "set device parameters", "9011": "answer to a request",
    "9012": "result of an execution", "9013": "answer to a notice", "9014": "answer to data",
}  # fmt: skip
# What other numbers meant in 2005.
_OLD = {"3013": "operate equipment", "3014": "set sampling period"}
QN_RTN = {
    "1": "ready to execute", "2": "refused", "3": "wrong PW", "4": "wrong MN", "5": "wrong ST",
    "6": "wrong Flag", "7": "wrong QN", "8": "wrong CN", "9": "wrong CRC", "100": "unknown error",
}  # fmt: skip
EXE_RTN = {
    "1": "done", "2": "failed, cause unknown", "3": "wrong conditions", "4": "timeout",
    "5": "busy", "6": "system fault", "100": "no data",
}  # fmt: skip
FLAGS = {
    "N": (GOOD, "normal"), "F": (SUSPECT, "out of operation"), "M": (SUSPECT, "in maintenance"),
    "S": (ESTIMATED, "set by hand"), "D": (SUSPECT, "fault"), "C": (SUSPECT, "calibrating"),
    "T": (SUSPECT, "over the measuring range"), "B": (SUSPECT, "no communication"),
    "P": (SUSPECT, "power failure"),  # 2005
    "0": (SUSPECT, "calibration data"), "1": (GOOD, "weather data"),  # air stations of 2005
    "2": (SUSPECT, "abnormal"), "3": (GOOD, "normal"),
}  # fmt: skip
STATES = {
    "0": "off", "1": "running", "2": "calibrating", "3": "maintenance", "4": "alarm",
    "5": "blowing back",
}  # fmt: skip
_NOTICES = ("1013", "2012", "2022", "2072")
# Without one of these names a command of that number is the master station's request.
_TELLING = {
    "1011": ("SystemTime",), "1021": ("-LowValue", "-UpValue"), "1031": ("AlarmTarget",),
    "1041": ("ReportTime",), "1061": ("RtdInterval",), "1063": ("MinInterval",),
    "2081": ("RestartTime",), "3015": ("VaseNo",), "3017": ("Ctime", "CstartTime"),
    "3018": ("Stime",), "3019": ("-SN",), "3020": ("-Info",),
}  # fmt: skip


def command(cn: str, version: str) -> str:
    """What a command is for, in the standard of that version ("2005")."""
    old = _OLD.get(cn) if version == "2005" else None
    return old or COMMANDS.get(cn, "not in the standard")


def kind_of(cn: str, names: list[str]) -> str:
    """request, upload, notice or answer: by the command and by the names that CP has."""
    if cn[:1] == "9":
        return "answer"
    if cn in _NOTICES:
        return "notice"
    told = _TELLING.get(cn, ("DataTime",) if cn[:1] == "2" else ())
    if any(name.endswith(ending) for name in names for ending in (*told, "DataTime")):
        return "upload"
    return "request"
