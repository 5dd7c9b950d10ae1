"""How a cluster is set up, as operators see it: no view has a secret.

environment          the variables of its processes, and where they differ
application          the settings that the API changes
difference           what a form would change of those, and the PATCH for it
registration_status  the registered number
media_status         what is kept, and what could not be fetched
"""
