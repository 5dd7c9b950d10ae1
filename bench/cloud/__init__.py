"""What sending and receiving through the Cloud API costs, how fast it is, and what it survives."""
