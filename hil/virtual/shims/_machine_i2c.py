"""`machine.I2C`: the board's devices on two wires."""

import _link
import _ops
from _machine_pin import Pin


class I2C:
    def __init__(self, id=0, *, scl=18, sda=19, freq=400000, timeout=50000):
        if not 0 <= id <= 1:
            raise ValueError("I2C(%d) doesn't exist" % id)
        wires = [pin if isinstance(pin, Pin) else Pin(pin) for pin in (scl, sda)]
        self._wires = bytes([pin._number for pin in wires])

    def init(self, *args, **named):
        raise OSError("I2C operation not supported")

    def _transfer(self, addr, out, size):
        return _link.call(_ops.I2C, self._wires + bytes((addr, size)) + out)

    def scan(self):
        found = []
        for addr in range(8, 0x78):
            try:
                self._transfer(addr, b"", 0)
                found.append(addr)
            except OSError:
                pass
        return found

    def readfrom(self, addr, nbytes, stop=True):
        return self._transfer(addr, b"", nbytes)

    def readfrom_into(self, addr, buf, stop=True):
        buf[:] = self._transfer(addr, b"", len(buf))

    def writeto(self, addr, buf, stop=True):
        self._transfer(addr, bytes(buf), 0)
        return len(buf)

    def readfrom_mem(self, addr, memaddr, nbytes, *, addrsize=8):
        return self._transfer(addr, self._at(memaddr, addrsize), nbytes)

    def _at(self, memaddr, addrsize):
        if addrsize & 7 or addrsize > 32:
            raise ValueError("invalid addrsize")
        return memaddr.to_bytes(addrsize // 8, "big")

    def readfrom_mem_into(self, addr, memaddr, buf, *, addrsize=8):
        buf[:] = self.readfrom_mem(addr, memaddr, len(buf), addrsize=addrsize)

    def writeto_mem(self, addr, memaddr, buf, *, addrsize=8):
        self._transfer(addr, self._at(memaddr, addrsize) + bytes(buf), 0)
