"""The components of a release, in the order in which they come in force.

Each is a module with

    check(job): Refused where it cannot be installed here, before anything is fetched
    begin(job): what an earlier job left behind of it is gone
    prepare(job, component, late): build and check it, without anything coming in force by it
    act(job, component) -> str: put it in force. "done"; "restart": it is on trial from the next
        boot on; "contact": its `async converse(job, component, link, left_ms)` goes on beside the
        open link in each contact until `standing` is "done"
    standing(job, component) -> str: "done"; "trial": it runs, and waits for the fleet to
        acknowledge a report of this life (cycle.py confirms it then); "back": the one before runs
        again; "contact"; "" where `act` has not been
each of which may be called again after a power cut at any point in it, and raises Refused to end
the job, or Later. `component` is the manifest's, `job.spans[kind]` says what of the stream it is;
`late()` is True when the wake is over.
"""

from node.wire import release
from node.wire.uplink import ReportError

ORDER = (release.KEYS, release.PACK, release.MODEM, release.RUNTIME, release.APPLICATION)


def of(kind: int):
    """The module of a component."""
    if kind == release.APPLICATION:
        from node.update import app_part as part
    elif kind == release.KEYS:
        from node.update import keys_part as part
    elif kind == release.RUNTIME:
        from node.update import runtime_part as part
    elif kind == release.MODEM:
        from node.update import modem_part as part
    else:
        from node.update import pack_part as part
    return part


def ordered(m) -> list:
    """The components of a manifest as they come in force."""
    return [each for kind in ORDER for each in m.components if each.kind == kind]


def manifest_of(job):
    """The manifest of a job that was found good before; ReportError, or Later."""
    return release.decode(release.unseal(job.bytes(0, job.envelope))[0])


async def converse(link, left_ms: int) -> None:
    """Let the component that is put in force beside the open link go on."""
    from node.update import job
    from node.update.ends import Later, Refused

    held = job.load()
    if held is None or held.stage != release.INSTALLING:
        return
    try:
        several = ordered(manifest_of(held))
        component = several[held.place]
        if component.kind == release.MODEM:
            from node.update import modem_part

            await modem_part.converse(held, component, link, left_ms)
    except Refused as e:
        try:
            held.move(job.ENDED, e.result, 100 * held.stage + e.detail)
        except Later:
            pass  # it is refused again
    except (ReportError, IndexError, Later):
        pass  # work.py says what is wrong with it
