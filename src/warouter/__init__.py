"""An open, self-hosted WhatsApp Business On-Premises v1 API client with Multiconnect."""

from importlib.metadata import version

__version__ = version("warouter")
API_VERSION = "v2.53.0"  # the API that is spoken, which clients compare
SERVER = f"warouter/{__version__}"  # how every answer names us, unless that is switched off
