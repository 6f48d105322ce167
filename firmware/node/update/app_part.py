"""The application as a component: an image in the slot that does not run, on trial from the next
boot on (slots.py).
"""

import os

from node.update import image, slots
from node.update.ends import Later, Refused
from node.wire import release


def check(job) -> None:
    """Refused where what was assigned cannot be built here: known before anything is fetched."""
    form, _, _, base = job.spans[release.APPLICATION]
    if form == release.DELTA and not (slots.running() and slots.release()[1][:8] == base):
        raise Refused(release.BASE_DIFFERS)


def begin(job) -> None:
    """Nothing is built yet."""
    path = _other()
    slots.told()  # of an earlier try
    try:
        os.remove(path)
    except OSError:
        pass  # there is none


def prepare(job, component, late) -> None:
    """Build the image and check its digest."""
    check(job)
    base = None
    if job.spans[release.APPLICATION][0] == release.DELTA:
        base = open(slots.running(), "rb")  # noqa: SIM115
    try:
        image.to_file(job, component, base, _other(), late)
    finally:
        if base is not None:
            base.close()


def act(job, component) -> str:
    """On trial from the next boot on."""
    try:
        slots.activate(job.assignment.sequence)
    except OSError:
        raise Later
    return "restart"


def standing(job, component) -> str:
    """ "trial", "done", "back"; "" where it never came in force."""
    found = slots.standing(job.assignment.sequence)
    if found != "back":
        return found
    if slots.on_trial():
        return "trial"  # the supervisor is going back, and cannot write so yet
    rolled = slots.rolled()
    if rolled is not None and rolled[0] == job.assignment.sequence:
        return found
    return ""


def _other() -> str:
    try:
        return slots.other()
    except OSError:
        raise Later  # another trial goes on
