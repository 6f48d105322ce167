"""Who runs this process, as a name to be shown and kept."""

import getpass
import os


def user_name() -> str:
    """The user's name; the number of one that has none, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
