"""Prints more than it may."""

import sys

for _ in range(int(sys.argv[1])):
    sys.stdout.write("x" * 1023 + "\n")
