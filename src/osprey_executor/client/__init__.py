"""The client of a service that `osprey-executor serve` serves: what Python users know, over HTTP.

It imports the models and the errors, and nothing of the service.
"""

from osprey_executor.client._async import AsyncClient
from osprey_executor.client._sync import Client

__all__ = ["AsyncClient", "Client"]
