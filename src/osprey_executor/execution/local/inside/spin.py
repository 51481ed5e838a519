"""Uses more processor time than it may, in two processes: so many seconds each."""

import os
import sys
import time

os.fork()
while time.process_time() < float(sys.argv[1]):
    sum(range(100000))
sys.stdout.write("was left to itself\n")
