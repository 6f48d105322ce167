"""Who is who: the certificate authority, certificates of nodes and services, revocation."""
