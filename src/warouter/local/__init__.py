"""One machine: an embedded PostgreSQL, the simulator and every process of a cluster as children.

``warouter up``, the demo and the tests that need a cluster start it here. Children are started as
systemd would start them and started again when they die; cluster.json says where everything is.

    cluster            the whole: start, keep, stop
    options            what it may be told
    process            one child
    forks              a child that need not import what others have
    postgres           an embedded PostgreSQL
    container          what is different where it is the program of one
    environment        settings of the children, and the address of the database
    upstream           the simulator as the registration authority
    cloud_emulator     variables for the Cloud API, and its emulator
    secrets            files for those that were given by value
    number             is registered by itself with the Cloud API
    seed               a password, a registered number, a shard count
    description        cluster.json
    ports              free ports, chosen before they are taken
    counts             how many processes when nobody says
    staging            what a cluster of containers begins with: secrets, number, cluster.json
"""
