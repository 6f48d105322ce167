"""`machine.ADC`: a pin of ADC1 that every chip has, whatever lies at it."""

from machine import ADC, Pin

_PIN = 32 if Pin(32) and not refused(lambda: ADC(Pin(32))) else 4
adc = ADC(Pin(_PIN))


def text(**options):
    return str(ADC(Pin(_PIN), **options)).replace("(%d)" % _PIN, "(n)")


fact("analog.attenuations", lambda: (ADC.ATTN_0DB, ADC.ATTN_2_5DB, ADC.ATTN_6DB, ADC.ATTN_11DB))
fact("analog.no-adc-pin", lambda: ADC(Pin(21)))
fact("analog.default", text)
fact("analog.other", lambda: text(atten=ADC.ATTN_6DB))
fact("analog.atten", lambda: adc.atten(ADC.ATTN_11DB))
fact("analog.atten-invalid", lambda: adc.atten(4))
fact("analog.width-invalid", lambda: adc.width(14))
fact("analog.read", lambda: type(adc.read()) is int and 0 <= adc.read() <= 4095)
fact("analog.read-u16", lambda: type(adc.read_u16()) is int and 0 <= adc.read_u16() <= 65535)
fact("analog.read-uv", lambda: adc.read_uv() % 1000)
fact("analog.names", lambda: missing(ADC, "init deinit block read_u16 read_uv atten width read "
     "WIDTH_12BIT"))  # fmt: skip
