"""The WhatsApp side: the protocol that owners speak, the simulator's client and its server."""
