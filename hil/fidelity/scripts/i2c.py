"""`machine.I2C` with nothing on its wires but the chip's own pull-ups."""

from machine import I2C, Pin

i2c = I2C(0, scl=Pin(5), sda=Pin(4))

fact("i2c.no-unit", lambda: I2C(2))
fact("i2c.scan", lambda: i2c.scan())
fact("i2c.read", lambda: i2c.readfrom(0x40, 1))
fact("i2c.read-mem", lambda: i2c.readfrom_mem(0x40, 1, 2))
fact("i2c.write", lambda: i2c.writeto(0x40, b"x"))
fact("i2c.init", lambda: i2c.init(scl=Pin(5), sda=Pin(4)))
fact("i2c.addrsize", lambda: i2c.readfrom_mem(0x40, 1, 2, addrsize=12))
fact("i2c.print", lambda: i2c)
fact("i2c.names", lambda: missing(I2C, "init scan start stop readinto write readfrom "
     "readfrom_into writeto writevto readfrom_mem readfrom_mem_into writeto_mem"))  # fmt: skip
