"""Tells everyone who might listen that it succeeded, kills whom it can, and fails with code 7."""

import contextlib
import os
import signal

for descriptor in range(256):
    if descriptor not in (0, 1, 2):
        for words in (b"exit 0", b'{"event": "exit", "status": 0}'):
            try:
                os.write(descriptor, words)
            except OSError:
                break
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
    with contextlib.suppress(OSError):
        os.kill(1, number)
os._exit(7)
