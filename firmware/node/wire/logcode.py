"""What an entry of the node's log says: code -> (name, what its number is).

The application does not load this file: its modules have the codes that they need as private
constants `_L_<NAME>`, and a test holds them to these names. Codes are never reused.
"""

CODES = {
    1: ("boot", "reset cause * 256 + wake reason"),
    2: ("contact_failed", "error code * 65536 + cause, up to 65535"),
    3: ("contact", "seconds that it took"),
    4: ("crash", "line"),
    5: ("clock_set", "seconds it went forward"),
    6: ("clock_refused", "seconds that it lay behind the floor"),
    7: ("configuration", "number of the item"),
    8: ("journal_refused", "errno"),
    9: ("poll_cut", "milliseconds it had"),
    10: ("brown_out", "how many so far"),
    11: ("command", "number of the item"),
    12: ("command_refused", "result * 65536 + code"),
    13: ("ntp", "seconds it went forward"),
    14: ("task_silent", "milliseconds since it was heard"),
    15: ("valve", "state * 256 + reason"),
    16: ("bus", "sub-device"),
    17: ("register_gap", "pulses that may be missing"),
    18: ("sensor", "pin or address"),
}
