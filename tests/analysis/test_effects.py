"""Programs that harm a computer: a finding names each thing that they do, and none is silent."""

import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.analysis import Site, analyze
from osprey_executor.analysis.catalogue import empty_catalogue
from osprey_executor.models import Verdict

RISKY: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "data" / "risky.jsonl").read_text("utf-8").splitlines()
]


def named(site: Site | None = None) -> float:
    reports = [(analyze(row["code"], site=site), set(row["effects"])) for row in RISKY]
    return sum(effects <= report.effects for report, effects in reports) / len(reports)


def test_effects_are_named():
    assert named() >= 0.95


def test_canary_an_empty_catalogue_names_few():
    assert named(Site(catalogue=empty_catalogue())) < 0.5


@pytest.mark.parametrize("row", RISKY, ids=lambda row: row["id"])
def test_none_is_silent(row: dict[str, Any]):
    report = analyze(row["code"])
    assert report.findings
    assert report.effects


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("x = 'A' * 10**10", "resource/much-memory"),
        ("import numpy as np\nnp.zeros((10**6, 10**6))", "resource/much-memory"),
        ("x = 10 ** 10 ** 10", "resource/much-memory"),
        ("x = 1 << 10**10", "resource/much-memory"),
        ("open('/dev/zero').read()", "resource/much-memory"),
        ("sum(1 for a in range(10**5) for b in range(10**5))", "resource/many-turns"),
        ("for a in range(10**5):\n    for b in range(10**5):\n        print(a)", "resource/many-turns"),
        ("x = []\nfor _ in range(10**6):\n    x.append('a' * 1024 * 1024)", "resource/much-memory"),
        ("x = {n: [0] * 1000 for n in range(10**7)}", "resource/much-memory"),
        ("x = [bytearray(10**7) for _ in range(1000)]", "resource/much-memory"),
        ("x = []\nfor _ in range(10**6):\n    x.append('a' * 10**4)", "resource/much-memory"),
        ("import numpy as np\nnp.random.normal(size=(10**6, 10**6))", "resource/much-memory"),
        ("import itertools\nlist(itertools.product(range(1000), repeat=4))", "resource/many-turns"),
        ("for n in range(10**30):\n    print(n)", "resource/many-turns"),
        ("x = 3\nfor _ in range(6):\n    x = x ** x", "resource/much-memory"),
        ("x = int(input())\nwhile input():\n    x **= x", "resource/much-memory"),
        ("x = 3\nfor _ in range(60):\n    x *= x", "resource/much-memory"),
        ("x = 'a'\nfor _ in open('f'):\n    x += x", "resource/much-memory"),
        ("x = [1]\nwhile input():\n    x = x + x", "resource/much-memory"),
        ("import os\nos.system('sudo reboot')", "process/privilege"),
        ("import subprocess\nsubprocess.run(['su', '-c', 'ls'])", "process/privilege"),
        ("import subprocess\nsubprocess.run(['pkexec', 'ls'])", "process/privilege"),
        ("import re\nre.match('(a+)+$', 'a' * 40)", "resource/regular-expression"),
        (r"import re; re.match(r'(\w+\s?)+!', x)", "resource/regular-expression"),
        ("while True:\n    pass", "resource/endless-loop"),
        ("x = ''\nwhile len(x) >= 0:\n    x += 'a'", "resource/endless-loop"),
        ("on = True\nwhile on:\n    print('a')", "resource/endless-loop"),
        ("def f():\n    yield from f()\nlist(f())", "resource/endless-recursion"),
        ("class A:\n    def __init__(self):\n        self.x = [A(), A()]\nA()", "resource/endless-recursion"),
        ("class A:\n    def f(self):\n        self.f()\nA().f()", "resource/endless-recursion"),
        ("x = [0]\nfor y in x:\n    x.append(y)", "resource/endless-loop"),
        ("x = 'a'\nfor _ in range(40):\n    x = x * 10", "resource/much-memory"),
        ("x = ['a']\nfor _ in range(40):\n    x += x", "resource/much-memory"),
        ("def f():\n    pass\nprint(f.__globals__)", "interpreter/inside"),
        ("import itertools\nfor n in itertools.count():\n    print(n)", "resource/endless-loop"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "resource/endless-recursion"),
        ("n = 0\nwhile n < 10:\n    pass", "resource/endless-loop"),
        ("def f(n):\n    while n > 3:\n        print(n)", "resource/endless-loop"),
        ("n = 9\nwhile n > 0:\n    n += 1", "resource/endless-loop"),
        ("x = [1]\nwhile x:\n    x.append(2)", "resource/endless-loop"),
        ("try:\n    while True:\n        pass\nexcept KeyboardInterrupt:\n    pass", "resource/endless-loop"),
        ("def g():\n    while True:\n        yield 1\nx = list(g())", "resource/endless-loop"),
        ("import itertools\nx = sum(n for n in itertools.count())", "resource/endless-loop"),
        ("import time\nfor _ in range(10**5):\n    time.sleep(60)", "resource/long-wait"),
        ("import threading\n[threading.Thread(target=f) for _ in range(10**5)]", "resource/many-processes"),
        ("cur.execute('DELETE FROM runs')", "file/delete-data"),
        ("import sympy\nsympy.sympify(context.x)", "dynamic/unknown-formula"),
        ("open('/dev/ttyUSB0', 'wb')", "opaque/device-file"),
        ("import builtins\nbuiltins.open = print", "interpreter/replaced-name"),
        ("open('../other/file').read()", "file/read-outside"),
        ("import os\nos.environ['API_TOKEN']", "secret/environment"),
        ("from pathlib import Path\n(Path.home() / '.ssh' / 'id_rsa').read_text()", "secret/file"),
    ],
)
def test_a_harm_by_its_rule(code: str, rule: str):
    assert rule in {one.rule for one in analyze(code).findings}


@pytest.mark.parametrize(
    "code",
    [
        "x = [0] * 1000",
        "x = 2 ** 64 + (1 << 20)",
        "x = list((10**5, 10**5))",
        "x = 1.0\nfor _ in range(40):\n    x = x * 10",
        "x = 'a'\nfor _ in range(10):\n    x += x",
        "x = [0]\nfor y in x:\n    x.append(y)\n    if y > 3:\n        break",
        "class A:\n    def f(self, n):\n        return self.f(n - 1) if n else 0\nA().f(3)",
        "x = [bytearray(10) for _ in range(100)]",
        "import numpy as np\nx = np.zeros(1000) * 10**9 * 2",
        "for _ in range(10**4):\n    x = 'a' * 10**6",
        "import itertools\nlist(itertools.product('ab', repeat=8))",
        "import re\nre.match('(ab)+[0-9]*$', 'ab1')",
        "on = True\nwhile on:\n    on = input() == 'a'",
        "n = 0\nwhile n < 10:\n    n += 1",
        "n = 9\nwhile n > 0:\n    n -= 2",
        "x = [3]\nwhile x:\n    x.pop()",
        "def work(q):\n    while q:\n        q.popleft()",
        "def f(x):\n    while len(x) < 9:\n        fill(x)",
        "class A:\n    def f(self):\n        while self.n < 3:\n            self.step()",
        "on = True\ndef f():\n    while on:\n        g()\nf()\non = False",
        "it = iter([1])\ntry:\n    while True:\n        next(it)\nexcept StopIteration:\n    pass",
        "class Done(Exception):\n    pass\ndef step():\n    raise Done\nwhile True:\n    step()",
        "import itertools\nx = next(n for n in itertools.count() if n > 4)",
        "import itertools\nx = list(zip(itertools.count(), 'ab'))",
        "import itertools\nx = list(itertools.islice(itertools.count(), 5))",
        "def ids():\n    n = 0\n    while True:\n        yield n\n        n += 1\nx = next(ids())",
        "for a, b in zip([1], iter(str, 'x')):\n    print(a)",
        "import time\nfor _ in range(100):\n    time.sleep(60)",
        "import numpy as np, time\nfor x in np.linspace(100, 200, 16):\n    time.sleep(10)",
        "import pandas as pd\ndf = pd.DataFrame({'a': [1]})\ndf.query(f'a > {x}')",
        "import sympy\nsympy.sympify('x**2 + 1')",
        "import sympy\nx, e = f()\nsympy.lambdify(x, e)",
        "db.execute('select * from runs')",
        "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(20)",
        "import functools\n@functools.cache\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(90)",
        "i = 0\nwhile i < 1000:\n    i += 1",
        "import numpy as np\nx = np.full(10, 10**9) + np.linspace(0, 10**9, 5).repeat(3)",
        "print(f'{3.5:12.3f}', '%10d' % 3, 'a'.ljust(80))",
        "import numpy as np\nx = np.arange(100)\nnp.outer(x, x)",
        "on = True\ndef stop():\n    global on\n    on = False\nwhile on:\n    stop()",
        "import numpy as np\nnp.zeros((1000, 1000))",
        "while True:\n    break",
        "def f(n):\n    if n < 2:\n        return 1\n    return n * f(n - 1)\nf(5)",
        "open('/dev/null', 'w')",
        "open('inputs/a.csv').read()",
        "import os\nos.path.join('a', 'b')",
    ],
)
def test_ordinary_code_takes_no_resources_or_secrets(code: str):
    rules = {one.rule for one in analyze(code).findings}
    assert not {
        rule
        for rule in rules
        if rule.startswith(("resource/", "secret/", "opaque/", "file/read", "file/delete", "dynamic/"))
    }


@pytest.mark.parametrize(
    ("code", "effects"),
    [
        ("import ftplib\nftplib.FTP('a').nlst()", {"network"}),
        ("from http import HTTPStatus\nprint(HTTPStatus(200))", set[str]()),
        ("from http.client import responses", {"network"}),
        ("from plumbum.cmd import ls\nls['-a'] | ls", {"process"}),
        ("import logging.config as c\nc.dictConfig({'a': {'class': 'logging.handlers.HTTPHandler'}})", {"network"}),
        ("get_ipython().run_cell('!ls')", {"process"}),
        ("from ctypes import *\nwindll.kernel32.VirtualAlloc(0, 1)", {"opaque", "interpreter"}),
        ("import socket\nprint(socket.gethostname(), socket.htons(5))", set[str]()),
        ("import multiprocessing\nq = multiprocessing.Queue()\nq.put(multiprocessing.cpu_count())", set[str]()),
        ("import multiprocessing\nmultiprocessing.spawn.never_heard_of()", {"process"}),
        ("from slack_sdk import WebClient\nWebClient('t').anything()", {"network"}),
        ("import sqlite3\nsqlite3.connect(':memory:').execute('select 1')", set[str]()),
        ("import sqlite3\nsqlite3.connect(':memory:').execute(\"attach 'a.db' as a\")", {"file_write"}),
        ("import zipfile\nzipfile.ZipFile('a.zip').namelist()", set[str]()),
        ("import zipfile\nzipfile.ZipFile('a.zip', 'w')", {"file_write"}),
        ("import pandas as pd\npd.read_csv('https://a.example/b.csv')", {"network"}),
        ("import pandas as pd\npd.read_csv('inputs/b.csv')", set[str]()),
        ("import logging\nlogging.basicConfig(filename='a.log')", {"file_write"}),
        ("import logging\nlogging.basicConfig(level=logging.INFO)", set[str]()),
        ("import h5py\nh5py.File('a.h5', 'r')['x'][:]", set[str]()),
        ("import h5py\nh5py.File('a.h5')", set[str]()),
        ("import h5py\nh5py.File('a.h5', mode='a')", {"file_write"}),
        ("import h5py\nh5py.File('a.h5', mode)", {"file_write"}),
        ("import h5py\nh5py.File('a.h5', 'r' if x else 'w')", {"file_write"}),
        ("import h5py\nh5py.File('../a.h5', 'r')", {"file_read"}),
        ("import zarr\nzarr.open('a.zarr', mode='r')", set[str]()),
        ("import zarr\nzarr.open('a.zarr')", {"file_write"}),
        ("import netCDF4\nnetCDF4.Dataset('a.nc')", set[str]()),
        ("import netCDF4\nnetCDF4.Dataset('a.nc', 'w')", {"file_write"}),
        ("import netCDF4\nnetCDF4.Dataset('https://a.example/b.nc')", {"network"}),
        ("import numpy as np\nnp.memmap('a.bin', 'f4', 'r')", set[str]()),
        ("import numpy as np\nnp.memmap('a.bin', 'f4')", {"file_write"}),
        ("import pandas as pd\npd.HDFStore('a.h5', 'r')", set[str]()),
        ("from astropy.io import fits\nfits.open('a.fits')", set[str]()),
        ("from astropy.io import fits\nfits.open('a.fits', mode='update')", {"file_write"}),
        ("import dbm\ndbm.open('a')", set[str]()),
        ("import dbm\ndbm.open('a', 'c')", {"file_write"}),
        ("import shelve\nshelve.open('a')", {"opaque", "file_write"}),
        ("import mmap\nmmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)", set[str]()),
        ("import mmap\nmmap.mmap(f.fileno(), 0)", {"file_write"}),
        ("import os\nos.system('echo a > b.txt')", {"process", "file_write"}),
        ("import os\nos.system('find . -delete')", {"process", "file_delete"}),
    ],
)
def test_effects_of_whole_modules_and_of_what_in_them_does_nothing(code: str, effects: set[str]):
    assert set(analyze(code).effects) == effects


def test_a_library_of_which_nothing_is_known_is_named_and_does_not_ask():
    report = analyze("import somelab\nsomelab.Model().fit(3)")
    (finding,) = report.findings
    assert (report.verdict, report.effects, finding.effect) == (Verdict.ALLOW, frozenset(), None)
    assert "somelab" in finding.message
    assert "somelab" in report.reason


@pytest.mark.parametrize("name", ["numpy", "scipy.optimize", "json", "pandas", "at", "xopt", "osprey.runtime"])
def test_a_library_that_only_computes_is_not_told_of(name: str):
    report = analyze(f"import {name}")
    assert (report.findings, report.reason) == ((), "computes only")


@pytest.mark.parametrize(
    "code",
    [
        "x = 2\nfor _ in range(5):\n    x *= x",
        "x = 1.5\nfor _ in range(100):\n    x = x ** x",
        "x = [1]\nwhile len(x) < 100:\n    x = x + x",
        "x = 1\nfor _ in range(60):\n    x += x",
        "x, r, e = 3, 1, 20\nwhile e:\n    r *= x\n    x *= x\n    e >>= 1",
        "x = 'a'\nfor n in open('f'):\n    x += x\n    if len(x) > 99:\n        break",
    ],
)
def test_what_grows_within_bounds_is_not_named(code: str):
    assert not [one for one in analyze(code).findings if one.rule == "resource/much-memory"]
