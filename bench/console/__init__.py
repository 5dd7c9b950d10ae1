"""The web console: how soon it shows what is, and what it costs; see bench/README.md."""
