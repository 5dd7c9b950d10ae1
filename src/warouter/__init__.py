"""An open, self-hosted WhatsApp Business On-Premises v1 API client with Multiconnect."""

from pathlib import Path

__version__ = "0.2.0"  # setuptools reads it here; importlib.metadata would cost each start 20 ms
API_VERSION = "v2.53.0"  # the API that is spoken, which clients compare
SERVER = f"warouter/{__version__}"  # how every answer names us, unless that is switched off
STATIC = Path(__file__).parent / "static"  # importlib.resources would cost each start 6 ms
