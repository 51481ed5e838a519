"""The doors over HTTP: pages for people and an API for programs. Needs the extra `web`, imported by `serve` alone."""
