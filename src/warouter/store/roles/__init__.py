"""Logins: one for each kind of process, and an owner of the schema whom nobody logs in as.

A webapp that was taken over cannot write a journal, a coreapp only what it owns, a master reads no
text of anybody. One login for all stays possible: then none of this holds.

    grants      what each kind may do
    rights      a right, in words and as a statement
    catalogue   who may do what, as PostgreSQL says
    compare     the one held against the other
    password    passwords of logins, in files
    create      roles made, given their rights, or taken back
"""
