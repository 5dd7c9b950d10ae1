"""An open, self-hosted WhatsApp Business On-Premises v1 API client with Multiconnect."""

from importlib.metadata import version

__version__ = version("warouter")
