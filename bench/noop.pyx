"""What a call into compiled code costs when it does nothing: the least that any call can take."""


def noop(recipient: str) -> int:
    """Always 0."""
    return 0
