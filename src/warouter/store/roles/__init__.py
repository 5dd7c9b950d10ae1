"""Logins: one for each kind of process, and an owner of the schema whom nobody logs in as.

A webapp that was taken over cannot write a journal, a coreapp only what it owns, a master reads no
text of anybody. One login for all stays possible: then none of this holds.

    grants      what each kind may do
    rights      a right, in words and as a statement
    found       what is there
    catalogue   that, as PostgreSQL says it
    compare     the one held against the other
    password    passwords of logins, in files
    stepwise    changes beside traffic, those of migrations as well
    create      roles made, and given their rights
    revoke      the login of before, without what it could do
"""
