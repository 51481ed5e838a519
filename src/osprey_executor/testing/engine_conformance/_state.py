"""Two runs share nothing: each program is the first one ever."""

from __future__ import annotations

import pytest

from osprey_executor.testing.engine_conformance._bench import Bench

# (what one run leaves, what the next one sees): equal to what a run sees that no other went before.
LEFT: dict[str, tuple[str, str]] = {
    "a patched module": ("import math\nmath.pi = 3", "import math\nresults = {'seen': math.pi}"),
    "a new attribute": ("import os\nos.left = 1", "import os\nresults = {'seen': hasattr(os, 'left')}"),
    "a patched builtin": (
        "import builtins\nbuiltins.len = lambda x: 0\nbuiltins.left = 1",
        "import builtins\nresults = {'seen': (len('abc'), hasattr(builtins, 'left'))}",
    ),
    "a replaced module": (
        "import sys, types\nsys.modules['statistics'] = types.ModuleType('statistics')",
        "import statistics\nresults = {'seen': statistics.mean([1, 3])}",
    ),
    "the runtime": (
        "from osprey_executor import runtime\nruntime.publish({'left': 1})\nruntime.left = 1",
        "from osprey_executor import runtime\nresults = {'seen': hasattr(runtime, 'left')}",
    ),
    "the environment": (
        "import os\nos.environ['LEFT'] = '1'\nos.environ['TZ'] = 'Asia/Tokyo'",
        "import os\nresults = {'seen': [os.environ.get(name) for name in ('LEFT', 'TZ')]}",
    ),
    "the current folder": ("import os\nos.mkdir('d')\nos.chdir('d')", "import os\nresults = {'seen': os.getcwd()}"),
    "the search path": (
        "import sys\nsys.path.insert(0, '/left')\nsys.argv.append('left')",
        "import sys\nresults = {'seen': ('/left' in sys.path, sys.argv)}",
    ),
    "a module of its own": (
        "open('left_module.py', 'w').write('x = 1')\nimport left_module",
        "import importlib.util\nresults = {'seen': importlib.util.find_spec('left_module') is None}",
    ),
    "files in /tmp": (
        "import tempfile, os\nopen(os.path.join(tempfile.gettempdir(), 'left'), 'w').write('1')\n"
        "try: open('/dev/shm/left', 'w').write('1')\nexcept OSError: pass",
        "import tempfile, os\nresults = {'seen': os.path.exists(os.path.join(tempfile.gettempdir(), 'left'))"
        " or os.path.exists('/dev/shm/left')}",
    ),
    "files at home": (
        "import os\ntry: open(os.path.expanduser('~/left'), 'w').write('1')\nexcept OSError: pass",
        "import os\nresults = {'seen': os.path.exists(os.path.expanduser('~/left'))}",
    ),
    "filters of warnings": (
        "import warnings\nwarnings.simplefilter('error')",
        "import warnings\nwarnings.warn('w', stacklevel=1)\nresults = {'seen': [f[0] for f in warnings.filters]}",
    ),
    "signal handlers": (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import signal\nresults = {'seen': (str(signal.getsignal(15)), str(signal.getsignal(2)))}",
    ),
    "settings of the process": (
        "import os, sys, resource, gc, decimal, threading\nos.umask(0o077)\nsys.setrecursionlimit(123)\nos.nice(3)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))\ngc.disable()\ndecimal.getcontext().prec = 3",
        "import os, sys, resource, gc, decimal\n"
        "results = {'seen': (os.umask(0o022), sys.getrecursionlimit(), os.nice(0),"
        " resource.getrlimit(resource.RLIMIT_NOFILE), gc.isenabled(), decimal.getcontext().prec)}",
    ),
    "hooks": (
        "import sys, atexit, threading\nsys.excepthook = sys.displayhook = threading.excepthook = print\n"
        "sys.settrace(lambda *a: None)",
        "import sys, threading\nresults = {'seen': (sys.excepthook is sys.__excepthook__, sys.gettrace() is None)}",
    ),
    "logging": (
        "import logging\nlogging.basicConfig(level=10)\nlogging.getLogger('left').disabled = True",
        "import logging\nresults = {'seen': (logging.root.level, len(logging.root.handlers),"
        " logging.getLogger('left').disabled)}",
    ),
    "the locale": (
        "import locale\nlocale.setlocale(locale.LC_ALL, 'C')",
        "import locale\nresults = {'seen': locale.setlocale(locale.LC_ALL)}",
    ),
    "threads and children": (
        "import os, threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()\n"
        "if os.fork() == 0: time.sleep(99)",
        "import os, threading\nown = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "results = {'seen': (threading.active_count(), len(own))}",
    ),
}
FRESH = {
    "random": "import random\nresults = {'seen': random.random()}",
    "a generator": "import random\nresults = {'seen': random.Random().random()}",
    "urandom": "import os\nresults = {'seen': os.urandom(8)}",
    "uuid4": "import uuid\nresults = {'seen': str(uuid.uuid4())}",
    "secrets": "import secrets\nresults = {'seen': secrets.token_hex()}",
    "a temporary name": "import tempfile\nresults = {'seen': tempfile.mkdtemp()}",
    "a temporary file": "import tempfile\nresults = {'seen': tempfile.NamedTemporaryFile().name}",
}
FRESH_NUMPY = {
    "numpy": "import numpy\nresults = {'seen': float(numpy.random.random())}",
    "a generator of numpy": "import numpy\nresults = {'seen': float(numpy.random.default_rng().random())}",
}


class TestNoState:
    """What a run leaves behind is gone, and what should be new is."""

    @pytest.mark.parametrize("name", LEFT)
    def test_the_next_run_does_not_see(self, bench: Bench, name: str) -> None:
        leave, look = LEFT[name]
        before = bench.results(look)["seen"]
        bench.run(leave)
        assert bench.results(look)["seen"] == before
        changed = bench.run(f"{leave}\n{look}")
        assert changed.results.get("seen") != before, "nothing was left, so this shows nothing"

    @pytest.mark.parametrize("name", FRESH)
    def test_is_new_in_each_run(self, bench: Bench, name: str) -> None:
        seen = [bench.results(FRESH[name])["seen"] for _ in range(3)]
        assert len(set(seen)) == 3

    @pytest.mark.parametrize("name", FRESH_NUMPY)
    def test_numpy_is_new_in_each_run(self, bench: Bench, name: str) -> None:
        outcomes = [bench.run(FRESH_NUMPY[name]) for _ in range(3)]
        if "numpy" in bench.expected.packages:
            assert len({outcome.results["seen"] for outcome in outcomes}) == 3
        else:
            assert all("numpy" in str(outcome.error) for outcome in outcomes)

    def test_a_seed_gives_the_same_numbers_in_each_run(self, bench: Bench) -> None:
        code = "import random\nrandom.seed(7)\nresults = {'seen': random.random()}"
        assert bench.results(code) == bench.results(code)

    def test_early_results_of_one_run_are_none_of_the_next(self, bench: Bench) -> None:
        bench.run("from osprey_executor import runtime\nruntime.publish({'left': 1})\n1 / 0")
        outcome = bench.run("1 / 0")
        assert (outcome.results, outcome.has_results) == ({}, False)

    def test_the_folder_is_new(self, bench: Bench) -> None:
        bench.run("open('left', 'w').write('1')")
        outcome = bench.run("import os\nresults = {'seen': os.listdir('.')}")
        assert "left" not in outcome.results["seen"]
        assert outcome.artifacts == ()
