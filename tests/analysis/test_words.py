"""What findings say of effects: words that tell a person what happens, and to what."""

import pytest

from osprey_executor.analysis import analyze
from osprey_executor.models import Effect, Severity, Verdict

_START = """
import os, sys, shutil, socket, subprocess, threading, time, tarfile, marshal, docker, requests, urllib.request
from http.server import HTTPServer
from pathlib import Path
"""


def said(code: str) -> list[str]:
    return [one.message for one in analyze(_START + code).findings]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])", "installs packages with the command pip"),
        ("os.system('sudo apt-get -y install x')", "installs packages with the command apt-get"),
        ("os.system('conda install x')", "installs packages with the command conda"),
        ("os.setuid(0)", "changes rights"),
        ("os.setegid(0)", "changes rights"),
        ("open(os.path.expanduser('~/.bashrc'), 'a')", "~/.bashrc, a start-up file"),
        ("(Path.home() / '.profile').write_text('x')", ".profile, a start-up file"),
        ("Path('/etc/systemd/system/x.service').touch()", "/etc/systemd/system/x.service, a start-up file"),
        ("shutil.copy('a', Path.home() / '.config/autostart/x.desktop')", "x.desktop, a start-up file"),
        ("os.system('echo x >> ~/.zshrc')", "~/.zshrc, a start-up file"),
        ("os.system('crontab new')", "changes what the computer starts by the clock with the command crontab"),
        ("open('/opt/x', 'w')", "writes /opt/x, outside the working folder"),
        ("shutil.move('x', '../x')", "shutil.move: ../x, outside the working folder"),
        ("os.replace('x', '/opt/x')", "os.replace: /opt/x, outside the working folder"),
        ("os.symlink('x', '/opt/y')", "os.symlink: /opt/y, outside the working folder"),
        ("Path('x').rename('/opt/x')", "Path.rename: /opt/x, outside the working folder"),
        ("tarfile.open('x.tar').extractall('/opt')", "extractall: /opt, outside the working folder"),
        ("os.remove('/opt/x')", "os.remove: /opt/x, outside the working folder"),
        ("os.system('cp x /opt/x')", "command cp: /opt/x, outside the working folder"),
        ("HTTPServer(('0.0.0.0', 80), x).serve_forever()", "listens on the network"),
        ("socket.socket().bind(('0.0.0.0', 80))", "listens on the network"),
        ("import socketserver\nsocketserver.TCPServer(('', 80), x)", "listens on the network"),
        ("os.system('docker run --privileged x')", "a container that may change the whole computer"),
        ("os.system('docker run -v /:/host x ls')", "a container that may change the whole computer"),
        ("docker.from_env().containers.run('x', privileged=True)", "a container that may change the whole computer"),
        ("docker.from_env().containers.run('x', volumes=['/:/h'])", "a container that may change the whole computer"),
        ("os.execv(sys.executable, [sys.executable, *sys.argv])", "replaces itself by a new start of itself"),
        ("os.execvp('ls', ['ls'])", "replaces itself by the program ls"),
        ("marshal.load(open('x', 'rb'))", "loads marshalled data"),
        ("open('/usr/lib/python3/site-packages/x.pth', 'w')", "x.pth, a start-up file"),
        ("open(os.path.expanduser('~/.ssh/authorized_keys'), 'a')", "authorized_keys, which lets someone log in"),
        (
            "from crontab import CronTab\nCronTab(user=True).new(command='ls')",
            "changes the commands that the computer starts by the clock",
        ),
        (
            "from crontab import CronTab\nCronTab(user=True).write()",
            "changes the commands that the computer starts by the clock",
        ),
        ("import pip\npip.main(['install', 'x'])", "installs packages with the command pip"),
        ("from pip._internal import main\nmain(['install', 'x'])", "installs packages with the command pip"),
        ("import ctypes\nctypes.CDLL('libm.so.6')", "loads the native library libm.so.6"),
        ("os.chmod('x', 0o4755)", "changes rights"),
        ("import stat\nos.chmod('x', os.stat('x').st_mode | stat.S_ISGID)", "changes rights"),
        ("Path('x').chmod(0o2755)", "changes rights"),
        ("urllib.request.urlretrieve('https://x.org', '/opt/x')", "writes /opt/x, outside the working folder"),
        ("import configparser\nconfigparser.ConfigParser().read(['/etc/x.ini'])", "reads /etc/x.ini, outside"),
        ("from setuptools import Extension\nExtension('x', ['x.c'])", "compiles native code"),
        ("import sqlite3\nsqlite3.connect('file:/opt/x.db?mode=ro', uri=True)", "reads /opt/x.db, outside"),
        ("import fileinput\nfileinput.input('/etc/hosts', inplace=True)", "rewrites /etc/hosts, outside"),
        ("import epics\nepics.PV('A', callback=print)", "reads a channel"),
        ("os.system('cat ~/.ssh/id_rsa')", "where keys, passwords"),
        ("open('/proc/self/mem', 'rb+')", "where the raw memory of a process or computer is"),
        ("open('/etc/passwd')", "where accounts of the computer are"),
        ("import pandas as pd\npd.DataFrame().to_csv('/srv/x.csv')", "to_csv: /srv/x.csv, outside the working folder"),
        ("import pandas as pd\n(2 * pd.DataFrame()).to_csv('/srv/x.csv')", "to_csv: /srv/x.csv, outside"),
        ("import xarray as xr\n(xr.open_dataset('a') - 1).to_netcdf('/srv/x.nc')", "/srv/x.nc, outside"),
        ("import logging\nlogging.FileHandler('/var/log/x.log')", "log file with FileHandler: /var/log/x.log, outside"),
        ("os.system('git push')", "reaches the network with the command git push"),
        ("import yaml\nyaml.load(x, Loader=yaml.UnsafeLoader)", "and so run any code"),
        ("import numpy as np\nnp.load('x.npy', allow_pickle=True)", "a pickle can run any code"),
        ("import torch\ntorch.load('x.pt')", "a pickle can run any code"),
        ("import joblib\njoblib.load('x.pkl')", "a pickle can run any code"),
        ("import telnetlib\ntelnetlib.Telnet('a.example')", "reaches the network with Telnet: a.example"),
        ("import snap7\nsnap7.client.Client().connect('10.0.0.4', 0, 1)", "reaches the network with connect: 10.0.0.4"),
        ("from pycomm3 import LogixDriver\nLogixDriver('10.0.0.5/1')", "with LogixDriver: 10.0.0.5/1"),
        ("import pyads\npyads.Connection('1.2.3.4.1.1', 851, '10.0.0.6')", "with Connection: 10.0.0.6"),
        ("from opcua import Client\nClient('opc.tcp://h:4840')", "with Client: opc.tcp://h:4840"),
        ("import vxi11\nvxi11.Instrument('10.0.0.7')", "with Instrument: 10.0.0.7"),
        (
            "import pyvisa\npyvisa.ResourceManager().open_resource('TCPIP0::10.0.0.8::INSTR')",
            "with open_resource: 10.0.0.8",
        ),
        (
            "from pymodbus.client import ModbusTcpClient as C\nfor n in (1, 2):\n    C(f'10.0.1.{n}')",
            "10.0.1.1 or one of 1 others",
        ),
        (
            "import winreg\nk = winreg.OpenKey(winreg.HKEY_CURRENT_USER, 'Software\\\\X\\\\CurrentVersion')\n"
            "winreg.SetValueEx(winreg.CreateKey(k, 'RunOnce'), 'n', 0, winreg.REG_SZ, 'x.exe')",
            "CurrentVersion\\RunOnce, a start-up place: the computer then starts",
        ),
        (
            "import winreg\nwinreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, r'SYSTEM\\CurrentControlSet\\Services\\x')",
            "a start-up place: the computer then no longer starts",
        ),
        (
            "import winreg\nwinreg.CreateKey(winreg.HKEY_CURRENT_USER, 'Software')",
            "changes the registry with CreateKey: Software",
        ),
        ("import ctypes\nctypes.CFUNCTYPE(ctypes.c_int)(4096)()", "runs the machine code there"),
        ("open('/proc/1/maps')", "where the layout of the memory of a process is"),
        ("subprocess.run(['/bin/sh', '-i'])", "starts the shell sh, which runs whatever it is given"),
        ("subprocess.run(['sh', 'x.sh'])", "starts the shell sh with a script that is not seen here"),
        ("os.pidfd_open(1)", "opens a handle of a process"),
        ("import getpass\ngetpass.getuser()", "asks under which name it runs"),
        ("os.system('echo x | at now')", "changes what the computer starts by the clock with the command at"),
        (
            "from crontab import CronTab\nCronTab(user=True).new(command='python3 /opt/a.py')",
            "lets the clock start Python with /opt/a.py",
        ),
        (
            "import importlib.util as u\ns = u.spec_from_file_location('x', '/opt/x.py')\n"
            "s.loader.exec_module(u.module_from_spec(s))",
            "runs the code of /opt/x.py as a module",
        ),
        ("docker.from_env().containers.run('x', \"sh -c 'echo $(hostname)'\")", "starts the program echo"),
        ("os.system('git -C x commit -m y')", "changes files with the command git commit"),
        ("os.system('rsync -a x/ host:y')", "reaches the network with the command rsync"),
        ("os.system('nsenter -t 1 -m ls')", "and so its isolation, with the command nsenter"),
        ("import ctypes\nctypes.CDLL('libc.so.6').mount(0, 0)", "and so its isolation, with mount of a native library"),
        ("import ctypes\nctypes.CDLL(None)", "calls the native code of the process itself"),
        ("x = compile(input(), 'x', 'exec')", "compile makes code of text that is only known"),
        ("Path('~/x/y').parent.mkdir()", "Path.mkdir: ~/x, outside"),
        ("(Path.home() / '.bashrc').write_text('x')", "~/.bashrc, a start-up file"),
        ("Path('/opt/x.h5').with_suffix('.bak').touch()", "Path.touch: /opt/*.bak, outside"),
        ("import glob\nfor x in glob.glob('/opt/*.tmp'):\n    os.remove(x)", "os.remove: /opt/*.tmp, outside"),
        ("import sh\ngit = sh.git.bake('-C', 'x')\ngit.fetch()", "the command git fetch"),
        ("import networkx\nnetworkx.write_gml(x, '/opt/x.gml')", "write_gml: /opt/x.gml, outside"),
        ("{k: os.environ[k] for k in ('DB_USER', 'DB_PASSWORD')}", "the environment variable DB_PASSWORD"),
        ("open('secrets.json')", "where keys, passwords"),
    ],
)
def test_what_happens_is_told(code: str, words: str):
    assert [one for one in said(code) if words in one], said(code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os.system('pip list')", "installs"),
        ("os.system('pip list')", "reaches the network"),
        ("os.system('git log')", "reaches the network"),
        ("os.system('systemctl status x')", "changes services"),
        ("os.system('tar tf x.tar')", "unpacks"),
        ("os.system('rsync -a x/ y/')", "reaches the network"),
        ("import json\njson.loads(urllib.request.urlopen('https://x.org').read().decode()).get('a')", "uses requests"),
        ("requests.get('https://x.org').json().get('a')", "uses requests"),
        ("import sqlite3\nsqlite3.connect(':memory:').cursor().execute('DELETE FROM x')", "deletes data"),
        ("import sqlalchemy\nsqlalchemy.create_engine('sqlite://').connect()", "uses sqlalchemy"),
        ("import sqlite3, pandas\npandas.read_sql('select 1', sqlite3.connect('x.db'))", "may reach"),
        ("import pandas\npandas.DataFrame().to_html()", "writes"),
        ("import yaml\nyaml.safe_dump({})", "writes"),
        ("os.environ.setdefault('OMP_NUM_THREADS', '1')", "reads"),
        ("import signal\nos.kill(1, signal.SIGHUP)", "imports signal"),
        ("import mmap\nmmap.mmap(-1, 4096)", "changes a file"),
        ("for n in range(10**5):\n    threading.Thread(target=time.sleep, args=(9,)).start()", "waits"),
        ("os.system('conda install x')", "the command install"),
        ("open('x/profile.txt', 'w')", "a start-up file"),
        ("open('/tmp/x', 'w')", "outside"),
        ("shutil.copy('/opt/x', 'x')", "outside"),
        ("os.system('docker run -v /data:/host x ls')", "whole computer"),
        ("docker.from_env().containers.run('x', volumes={'/data': {}})", "whole computer"),
        ("os.execv(sys.executable, [sys.executable, *sys.argv])", "more and more"),
        ("marshal.load(open('x', 'rb'))", "unpickles"),
        ("urllib.request.urlopen('https://x.org').read()", "requests"),
        ("os.popen('date').read()", "subprocess"),
        ("os.system('docker run -v /:/host x ls')", "command host"),
        ("os.chmod('x', 0o755)", "changes rights"),
        ("for word in 'alpha secret'.split():\n    print(word)", "where keys"),
        ("x.execute('select name from people where password')", "where keys"),
        ("import io, numpy\nnumpy.save(io.BytesIO(), [1])", "writes a file"),
        ("import io\nimport matplotlib.pyplot as plt\nplt.savefig(io.BytesIO())", "writes a file"),
        ("import sqlite3\nsqlite3.connect('file:x.db?mode=ro', uri=True)", "opens the database"),
        ("import shelve\nshelve.open('x', flag='r')", "change"),
        ("import fileinput\nfileinput.input('x')", "rewrites"),
        ("import epics\nepics.PV('A')", "reads a channel"),
    ],
)
def test_what_does_not_happen_is_not_told(code: str, words: str):
    assert not [one for one in said(code) if words in one]


def test_a_start_up_file_is_a_warning():
    findings = analyze("open('/etc/profile.d/x.sh', 'w')\nimport shutil\nshutil.copy('x', '/etc/init.d/x')").findings
    assert [one.severity for one in findings] == [Severity.WARNING] * 2


def test_a_folder_is_changed_and_a_table_of_times_is_read_without_an_effect():
    assert not analyze("import os\nos.chdir('x')").effects
    assert analyze("import os\nos.system('crontab -l')").effects == {Effect.PROCESS}


def test_the_same_is_said_once_of_a_line():
    report = analyze("import requests\nx = requests.get('a'), requests.get('b')\ny = requests.get('c')")
    assert [one.line for one in report.findings] == [2, 3]


def test_a_read_function_that_was_replaced_by_a_write_function_writes():
    report = analyze("import epics\nepics.caget = epics.caput\nepics.caget('A:SP', 1)")
    assert report.verdict is Verdict.ASK
    assert ("A:SP", "1", 3) in {(target.channel, target.value, target.line) for target in report.writes}
    assert not analyze("import epics\nepics.caget('A:SP', 1)").writes


def test_a_raw_socket_as_a_file_asks():
    code = "import socket\ns = socket.socket()\ns.connect(('h', 1))\ns.makefile('wb').write(b'x')"
    assert analyze(code).verdict is Verdict.ASK


@pytest.mark.parametrize(
    "code",
    [
        "from fabric import Connection\nConnection('h').local('caput X:SP 1')",
        "from invoke import Context\nContext().run('caput X:SP 1')",
        "from invoke import task\n@task\ndef move(c):\n    c.run('caput X:SP 1')",
        "from invoke import task\n@task(help={})\ndef move(c):\n    c.run('caput X:SP 1')",
        "from plumbum import local\nlocal['caput']('X:SP', 1)",
        "from plumbum import local, FG\nlocal['caput']['X:SP', 1] & FG",
        "from plumbum.cmd import caput\ncaput['X:SP', 1]()",
        "import docker\ndocker.from_env().containers.run('image', command=['caput', 'X:SP', '1'])",
        "from crontab import CronTab\nwith CronTab(user='root') as cron:\n    cron.new(command='caput X:SP 1')",
    ],
)
def test_a_command_that_a_library_starts_writes_its_channel(code: str):
    report = analyze(code)
    assert report.verdict is Verdict.ASK
    assert "X:SP" in {target.channel for target in report.writes}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("for n in ('a', 'b'):\n    shutil.rmtree(f'/var/{n}')", "/var/a and /var/b, outside the working folder"),
        ("for n in ('/etc/x', 'b'):\n    os.remove(n)", "b and /etc/x, outside the working folder"),
        ("for n in ('a', 'b', 'c', 'd', '/e'):\n    os.remove(n)", "a, b, 2 others and /e, outside the working folder"),
        ("for n in ('a', '/srv/x/.bashrc'):\n    open(n, 'w')", "a and /srv/x/.bashrc, a start-up file"),
    ],
)
def test_each_file_of_a_loop_is_told_and_the_worst_is_judged(code: str, words: str):
    assert [one for one in said(code) if words in one], said(code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import winreg\nwinreg.CloseKey(winreg.OpenKey(winreg.HKEY_CURRENT_USER, 'Software'))", "password"),
        ("open('/etc/ssh/sshd_config')", "secrets"),
        ("import getpass\ngetpass.getuser()", "accounts"),
        ("import telnetlib\ntelnetlib.Telnet('h').write(b'x')", "channel"),
        ("os.system(\"echo 'x; caput A:SP 1'\")", "channel"),
        ("os.system('echo \\'a $(hostname)\\'')", "hostname"),
    ],
)
def test_what_is_not_so_is_not_said(code: str, words: str):
    assert not [one for one in said(code) if words in one]


@pytest.mark.parametrize(
    "line",
    [
        "os.system('ping ' + input())",
        "os.system(f'ping {sys.argv[1]}')",
        "os.popen('ping %s' % input())",
        "subprocess.run('ping {}'.format(input()), shell=True)",
        "subprocess.run(['bash', '-c', f'ping {input()}'])",
        "subprocess.getoutput(' '.join(['ping', input()]))",
        "def run(line):\n    os.system(line)\nrun('ping ' + input())",
        "def ping(host):\n    return subprocess.check_output('ping ' + host, shell=True)",
        "for f in Path('.').glob('*.gz'):\n    os.system(f'gunzip {f}')",
    ],
)
def test_text_that_is_not_seen_in_a_line_of_shell_asks_and_says_why(line: str):
    report = analyze(_START + line)
    assert report.verdict is Verdict.ASK
    assert "text in it that is not seen here" in report.reason


@pytest.mark.parametrize(
    "line",
    [
        "n = int(input())\nos.system(f'sleep {n}')",
        "os.system('echo ' + str(int(input())))",
        "os.system('echo %d' % n)",
        "os.system(f'echo {x:.3f}')",
        "os.system('echo {:d}'.format(n))",
        "import shlex\nos.system('ls ' + shlex.quote(input()))",
        "import shlex\nname = shlex.quote(input())\nos.system(f'ls {name}')",
        "out = Path('results')\nos.system(f'ls {out}')",
        "os.system('mkdir run_' + time.strftime('%H'))",
        "def run(line):\n    os.system(line)\nfor i in range(n):\n    run(f'echo {i}')",
        "subprocess.run(['ls', input()])",
        "for name in ('a', 'b'):\n    os.system(f'ls {name}')",
    ],
)
def test_numbers_and_what_was_quoted_in_a_line_of_shell_do_not_ask(line: str):
    assert analyze(_START + line).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("        f.write(block)\n    except OSError:\n        break", True),
        ("        held.append(bytearray(10**8))\n    except MemoryError:\n        break", True),
        (
            "        held.append(open('/dev/null'))\n    except Exception as e:\n        print(e)\n        break",
            True,
        ),
        ("        held.append(next(source))\n    except Exception:\n        break", False),
        ("        held.append(line.recv(10))\n    except OSError:\n        break", False),
        ("        held.append(open(f'run{n}.txt'))\n        n += 1\n    except OSError:\n        break", False),
        ("        held.append(rows[n])\n        n += 1\n    except Exception:\n        break", False),
    ],
)
def test_a_loop_that_only_the_lack_of_memory_or_disk_ends_is_named(body: str, named: bool):
    report = analyze(f"n, held, rows = 0, [], [1, 2]\nwhile True:\n    try:\n{body}\n")
    assert (Effect.RESOURCE in report.effects) is named
