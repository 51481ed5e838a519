"""What runs between the service and the code: launcher, monitor and the walls around them.

The modules here are run by a fresh interpreter (`-I -S`) that sees nothing else of this package: standard library only,
relative imports only, and only modules that are cheap to import (no `json`, `socket`, `signal`, `typing`).
"""
