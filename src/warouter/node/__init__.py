"""The wiring of each process: which parts it has, in which order they start and stop.

Nothing here decides, stores or parses. A process starts in its ``main``: the database is checked,
the parts are made and introduced to each other, they run as tasks until SIGTERM, and what was begun
is finished in an order that loses nothing.

    webapp            the API, the links, the shard map
    webhooks          the listener of Meta's webhooks in a webapp
    context           what the API's handlers get
    mapview           the shard map as a webapp follows it; shard changes asked for
    coreapp           the owner of slots: messages in, upstream, webhook
    end               the parts of it that differ by the upstream
    end_simulator     those of the simulator
    end_cloud         those of the Cloud API
    master            campaigns; while it leads it looks, plans and writes
    console           the web console
    setting_changes   when the settings are read again; unusable ones change nothing
    settings_coreapp  what a coreapp takes from them
    settings_webapp   what a webapp takes from them
    reporter          what each process reports every five seconds
    figures           the figures of a coreapp in it
    runtime           the loop, signals, the first contact with the database, the name
"""
