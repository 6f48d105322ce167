"""Who runs this process, as a name to be shown and kept."""

import getpass
import os
import pwd


def account() -> str:
    """The account under which this process runs, whatever its environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def user_name() -> str:
    """The user's name; the number of one that has none, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
