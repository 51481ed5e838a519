"""Gateways: what existing EPICS clients in a sandbox reach on their own loopback, and what the broker answers there."""
