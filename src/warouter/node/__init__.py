"""The wiring of each process, readable top to bottom. Nothing here decides, stores or parses."""
