"""What a cluster costs at rest and at the rates that a WhatsApp number has; see bench/README.md."""
