"""Uses more processor time than it may, in two processes."""

import os
import sys

os.fork()
for _ in range(int(sys.argv[1])):
    sum(range(100000))
sys.stdout.write("was left to itself\n")
