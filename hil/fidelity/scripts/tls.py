"""`ssl`: the VM has it from the same C source as a chip, with a newer mbedTLS at most."""

import io
import ssl

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Silent(io.IOBase):
    def readinto(self, buf):
        return None

    def write(self, buf):
        return len(buf)

    def ioctl(self, op, arg):
        return 0


def unchecked():
    context.verify_mode = ssl.CERT_NONE
    return type(context.wrap_socket(Silent(), do_handshake_on_connect=False)).__name__


fact("tls.default-verifies", lambda: context.verify_mode)
fact("tls.constants", lambda: (ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED))
fact("tls.no-error-class", lambda: hasattr(ssl, "SSLError"))
context.verify_mode = ssl.CERT_REQUIRED
fact("tls.needs-a-name", lambda: context.wrap_socket(Silent()))
fact("tls.bad-certificate", lambda: context.load_verify_locations(cadata=b"not one"))
fact("tls.bad-key", lambda: context.load_cert_chain(b"not one", b"nor this"))
fact("tls.no-stream", lambda: refused(lambda: context.wrap_socket(5, server_hostname="h")))
fact("tls.unchecked", unchecked)
fact("tls.names", lambda: missing(ssl, "SSLContext PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER "
     "PROTOCOL_DTLS_CLIENT CERT_NONE CERT_REQUIRED MBEDTLS_VERSION"))  # fmt: skip
