"""Time and heap of the node's OSCORE in the VM: `micropython oscore_bench.py IMAGE`, a ROMFS image
that holds `node`; one line of JSON: microseconds and bytes.
"""

import gc
import hashlib
import json
import sys
import time

import vfs

ROUNDS, EACH = 60, 20
SECRET, KID = bytes(range(16)), b"\x0a\x0b\x0c"
REPORT = b"\x02\xff" + bytes(range(45))  # POST, no options, 45 bytes of payload
DONE = b"\x44"  # 2.04 Changed


class Nvs:
    """Keeps nothing: what flash costs is the chip's affair."""

    value = 0

    def get_i32(self, key):
        return self.value

    def set_i32(self, key, value):
        self.value = value

    def commit(self):
        pass


def memory(data=None):
    return b""


def allocated():
    gc.collect()
    return gc.mem_alloc()


def kept(call):
    """Bytes that the heap has more while what `call` gives is held, and that."""
    before = allocated()
    made = call()
    return allocated() - before, made


def garbage(call):
    """Bytes that one call takes and leaves, were they never collected."""
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    call()
    after = gc.mem_alloc()
    gc.enable()
    return after - before


def fastest(calls):
    """The shortest mean of EACH calls, us; taken in turns, so that a busy machine hurts all."""
    best = [1 << 30] * len(calls)
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            gc.collect()
            began = time.ticks_us()
            for _ in range(EACH):
                call()
            best[i] = min(best[i], time.ticks_diff(time.ticks_us(), began))
    return [us / EACH for us in best]


def main(image):
    with open(image, "rb") as file:
        vfs.mount(vfs.VfsRom(file.read()), "/rom")
    sys.path[:] = ["/rom", ".frozen"]
    for name in ("node.errors", "node.modules", "node.store.rtcstate", "node.wire.cbor"):
        __import__(name)  # what a wake has loaded anyway
    link, _ = kept(lambda: __import__("node.link.oscore"))
    store, _ = kept(lambda: __import__("node.store.numbers"))

    from node.link.oscore import Context
    from node.link.oscore_server import Server
    from node.store.numbers import Numbers
    from node.store.rtcstate import RtcState

    source = Numbers(RtcState(memory), Nvs(), KID)

    def derive():
        return Context(SECRET, KID, b"", source.next)

    contexts = [None, derive()]  # names and tables have grown now
    one, contexts[0] = kept(derive)
    context = contexts[0]
    server = Server(SECRET, b"", KID, None)
    option, cipher, request = context.seal(REPORT)
    answer = server.seal_response(server.open_request(option, cipher)[0], DONE)

    def exchange():
        context.seal(REPORT)
        context.open(request, *answer)

    reference, exchanged, derived = fastest(
        [lambda: hashlib.sha256(bytes(64)).digest(), exchange, derive]
    )
    result = {"sha_us": reference, "exchange_us": exchanged, "derive_us": derived}
    result.update({"modules": link, "numbers": store, "context": one})
    result.update({"exchange_garbage": garbage(exchange), "derive_garbage": garbage(derive)})
    print(json.dumps(result))


main(sys.argv[1])
