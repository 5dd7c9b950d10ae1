"""``python -m warouter`` and the ``warouter`` command."""

from warouter.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
