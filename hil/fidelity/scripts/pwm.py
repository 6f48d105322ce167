"""`machine.PWM` on GPIO 5."""

from machine import PWM, Pin

pwm = PWM(Pin(5))


def after(setter, value, getter):
    setter(value)
    return getter()


fact("pwm.defaults", lambda: (pwm.freq(), pwm.duty_u16(), pwm.duty()))
fact("pwm.freq-positional", lambda: PWM(Pin(5), 1000).freq())
fact("pwm.freq-zero", lambda: pwm.freq(0))
fact("pwm.freq-most", lambda: pwm.freq(40000001))
fact("pwm.duty-most", lambda: after(pwm.duty, 1023, pwm.duty))
fact("pwm.duty-full", lambda: pwm.duty_u16())
fact("pwm.duty-half", lambda: after(pwm.duty, 512, pwm.duty_u16))
fact("pwm.duty-over", lambda: pwm.duty(1024))
fact("pwm.duty-below", lambda: pwm.duty(-1))
fact("pwm.u16-over", lambda: pwm.duty_u16(65536))
fact("pwm.u16-steps", lambda: after(pwm.duty_u16, 12345, pwm.duty_u16))
fact("pwm.ns", lambda: after(pwm.duty_ns, 50000, pwm.duty_ns))
fact("pwm.set", lambda: pwm.init(freq=2000, duty_u16=0))
fact("pwm.deinit", lambda: pwm.deinit())
fact("pwm.inactive", lambda: pwm.freq())
fact("pwm.names", lambda: missing(PWM, "init deinit freq duty duty_u16 duty_ns"))
