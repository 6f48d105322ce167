"""Enough file descriptors for as many connections as are to be served, or a clear word."""

import resource

from fleet.settings import SettingsError

SPARE = 128  # of the database, listeners, the log, and what a library opens


def make_room(connections: int) -> int:
    """Raise this process's limit as far as it is needed; the limit then. SettingsError when the
    system does not let it.
    """
    wanted = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    for most in (max(hard, wanted), hard):  # root may raise the hard limit too
        if hard != resource.RLIM_INFINITY and most < wanted:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        except (ValueError, OSError):
            continue
        return wanted
    raise SettingsError(
        f"{connections} connections need {wanted} open files, this process may have {hard}: raise "
        "it (ulimit -n, LimitNOFILE= of systemd), or lower --connections"
    )
