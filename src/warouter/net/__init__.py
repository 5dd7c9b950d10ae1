"""Sockets: accepting them, names looked up, where outgoing ones may go, silence noticed."""
