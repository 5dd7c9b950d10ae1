"""The trust in a connection to PostgreSQL: TLS by host, and the password.

modes           for each host of WA_DB_HOSTNAME, whether TLS is required and verified
contexts        TLS contexts from files, made anew when a file was renewed
password_guard  no password in clear text or as MD5 to a server that is not verified
dial            one connection to one server, by all of these
sentences       why a server is not trusted, and what to do
"""
