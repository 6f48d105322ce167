"""The update that a node has under way: one file, written whole, says what it is and how far it is.

/update/job is strict CBOR [number, payload, stage, place, envelope, size]: the item's number and
payload (an Assignment of wire/release.py whose mac was good), the stage there, how many components
are in force already, and bytes of the envelope and of the stream.

ACCEPTED: the envelope's blocks are fetched, DOWNLOADING: it is verified, and the rest is fetched,
DOWNLOADED: all is there, and is built. VERIFIED: what was built is what the manifest says.
INSTALLING: component by component is put in force, in the order of ORDER. CONFIRMING: one of them
is on trial, until the fleet has acknowledged a report of this life.

A component's step is the module `node.update.<name of STEPS>`, with

    prepare(job, component, part): build and check it without anything coming in force by it
    act(job, component) -> str: put it in force; "done", "reboot": once it has booted CONFIRMING
        asks `standing`, or "contact": its `async converse(job, component, link, left_ms)` goes on
        beside the open link in the next contact, and gives True when it is done
    standing(job, component) -> str: after a reboot: "trial": it runs, and a report that the fleet
        acknowledges confirms it (`confirm(job, component)`), "done": it is confirmed, "back": the
        one before runs

each of which may be called again after a power cut at any point in it, and raises Refused to end
the job, or Later. `part` is (kind, form, bytes, base).
"""
