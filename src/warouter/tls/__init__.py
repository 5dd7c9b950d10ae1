"""TLS: certificates, and the contexts made of them.

Secrets are kept in memory: OpenSSL reads keys from files, so ``pem`` hands them over through an
anonymous one.

    pem           PEM text and server contexts
    certificate   self-signed certificates, and checks of those that an administrator brings
    server        the certificate of the public port, from the settings or from files
    mutual        certificates of clients, asked for and checked
    link          certificates of links between hosts, pinned by their fingerprint
"""
