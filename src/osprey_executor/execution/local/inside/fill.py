"""Leaves more files, or bytes in files, in a folder than it may, and prints how far it came."""

import os
import sys
import tempfile
import time

place, files, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
folder = tempfile.mkdtemp() if place == "tmp" else "."
made = 0
told = "wrote all"
try:
    for number in range(files):
        with open(os.path.join(folder, f"fill-{number}"), "wb", buffering=0) as stream:  # noqa: PTH118, PTH123
            written = stream.write(b"x" * size)
            made += written == size
    time.sleep(1)  # for a watch that looks now and then
except OSError as error:
    told = f"refused after {made}: {error}"
sys.stdout.write(told + "\n")
