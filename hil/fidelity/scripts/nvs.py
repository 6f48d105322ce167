"""`esp32.NVS`: values, limits, errors. It leaves its own namespace empty behind."""

from esp32 import NVS

nvs = NVS("fidelity")
buffer = bytearray(5)


def number(value):
    nvs.set_i32("n", value)
    return nvs.get_i32("n")


def blob(value):
    nvs.set_blob("b", value)
    return nvs.get_blob("b", buffer), bytes(buffer)


def erased(key):
    nvs.set_i32(key, 1)
    return nvs.erase_key(key)


fact("nvs.absent", lambda: nvs.get_i32("absent"))
fact("nvs.absent-blob", lambda: nvs.get_blob("absent", buffer))
fact("nvs.erase-absent", lambda: nvs.erase_key("absent"))
fact("nvs.set", lambda: nvs.set_i32("n", 1))
fact("nvs.most", lambda: number(2**31 - 1))
fact("nvs.least", lambda: number(-(2**31)))
fact("nvs.too-large", lambda: refused(lambda: number(2**31)))
fact("nvs.blob", lambda: blob(b"abc"))
fact("nvs.blob-empty", lambda: blob(b"")[0])
fact("nvs.blob-no-room", lambda: blob(b"abcdef"))
fact("nvs.other-type", lambda: nvs.get_blob("n", buffer))
fact("nvs.key-15", lambda: erased("k" * 15))
fact("nvs.key-16", lambda: nvs.set_i32("k" * 16, 1))
fact("nvs.namespace-15", lambda: refused(lambda: NVS("n" * 15)))
fact("nvs.namespace-16", lambda: refused(lambda: NVS("n" * 16)))
fact("nvs.blob-too-long", lambda: nvs.set_blob("b", bytes(12001)))
fact("nvs.uncommitted-read", lambda: number(7))
fact("nvs.commit", lambda: nvs.commit())
fact("nvs.names", lambda: missing(NVS, "get_i32 set_i32 get_blob set_blob erase_key commit"))
for key in ("n", "b"):
    nvs.erase_key(key)
nvs.commit()
