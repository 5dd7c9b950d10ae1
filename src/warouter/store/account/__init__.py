"""Rows of the business's account, read and written by webapps. Nothing here is fenced.

accounts           users, tokens, the settings and the registration of each number
sessions           sessions of the console, and tokens that it acts with
users              users made, changed and removed, in the transaction of who does it
author             who changes users, looked for once more in the transaction that does it
keys               keys of programs: added, listed, ended, found by their hash
logins             attempts at passwords, pins and the API key, counted for all webapps together
registration       a number between its code and its verification
backup             everything that a number's backup holds, in one transaction each way
contacts           what the upstream said of a number, and when
photo              the profile's photo
stickers           sticker packs
callback_requests  what operators ask of the callbacks: a test, a try of what waits
"""
