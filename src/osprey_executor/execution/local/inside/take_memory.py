"""Takes memory in two processes, piece by piece, and prints what it could take."""

from __future__ import annotations

import os
import sys
import time

most, piece = int(sys.argv[1]), 8 << 20
os.fork()
kept: list[bytes] = []
for _ in range(most // piece // 2):
    kept.append(b"x" * piece)
    time.sleep(0.002)
time.sleep(1)
sys.stdout.write(f"took {len(kept) * piece}\n")
