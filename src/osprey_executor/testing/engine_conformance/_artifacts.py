"""Files that a program leaves: regular ones are kept as they are, all others are named and left."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.models import Limits, Outcome, RunStatus
from osprey_executor.testing.engine_conformance._bench import MIB, Bench, told

LIMITS = Limits(timeout=60, folder=8 * MIB, files=2000)


def kept(outcome: Outcome, folder: Path) -> dict[str, bytes]:
    """Return what was kept below `folder`, and check that each is a plain file of the caller's."""
    assert outcome.status is RunStatus.SUCCEEDED, f"{outcome.error}\n{outcome.stderr}"
    found: dict[str, bytes] = {}
    for path in outcome.artifacts:
        assert path.is_file()
        assert not path.is_symlink()
        assert path.resolve().is_relative_to(folder.resolve())
        found[str(path.relative_to(folder / "artifacts"))] = path.read_bytes()
    return found


class TestArtifacts:
    """What honest programs leave."""

    def test_files_are_kept_with_their_names_and_in_order(self, bench: Bench, tmp_path: Path) -> None:
        code = r"""
from pathlib import Path
Path("b.bin").write_bytes(bytes(range(256)))
Path("a").mkdir()
Path("a/é ü.txt").write_text("text", encoding="utf-8")
Path("a/deep/er").mkdir(parents=True)
Path("a/deep/er/x").write_text("")
Path("empty-folder").mkdir()
Path(".hidden").write_text("h")
"""
        outcome = bench.run(code, folder=tmp_path)
        found = kept(outcome, tmp_path)
        assert found == {".hidden": b"h", "a/deep/er/x": b"", "a/é ü.txt": b"text", "b.bin": bytes(range(256))}
        assert list(found) == sorted(found)
        assert outcome.notes == ()

    def test_inputs_are_no_artifacts(self, bench: Bench, tmp_path: Path) -> None:
        given = tmp_path / "given.csv"
        given.write_text("1,2")
        given.chmod(0o600)
        code = "import os\nresults = {n: open('inputs/' + n, 'rb').read() for n in sorted(os.listdir('inputs'))}"
        outcome = bench.run(code, inputs={"data.csv": given, "é ü.bin": b"\0"})
        assert outcome.results == {"data.csv": b"1,2", "é ü.bin": b"\0"}
        assert outcome.artifacts == ()

    @pytest.mark.parametrize("work", ["open('inputs/data', 'a')", "os.unlink('inputs/data')", "open('inputs/x', 'w')"])
    def test_inputs_are_read_only(self, bench: Bench, work: str) -> None:
        bench.attack(f"return {work}", inputs={"data": b"x"})

    def test_the_folder_is_empty_and_the_programs_own(self, bench: Bench) -> None:
        code = """
import os
results = {"holds": [n for n in os.listdir(".") if n != "inputs"]}
open("f", "w").write("1"); os.rename("f", "g"); os.mkdir("d"); os.rename("g", "d/g"); os.chmod("d/g", 0o600)
os.symlink("d/g", "l"); results["read"] = open("l").read(); os.unlink("l")
os.utime("d/g", (1, 1)); results["time"] = os.stat("d/g").st_mtime; os.truncate("d/g", 0)
"""
        assert bench.results(code) == {"holds": [], "read": "1", "time": 1.0}

    def test_a_file_that_is_still_open_is_kept(self, bench: Bench, tmp_path: Path) -> None:
        outcome = bench.run("f = open('f', 'wb', buffering=0)\nf.write(b'1')", folder=tmp_path)
        assert kept(outcome, tmp_path) == {"f": b"1"}

    def test_files_of_a_program_that_fails_are_kept(self, bench: Bench) -> None:
        outcome = bench.run("open('f', 'w').write('1')\nimport os\nos.kill(os.getpid(), 9)")
        assert [path.read_text() for path in outcome.artifacts] == ["1"]

    def test_a_second_run_in_the_same_folder_replaces_the_first(self, bench: Bench, tmp_path: Path) -> None:
        for text in ("first", "second"):
            outcome = bench.run(f"open('f', 'w').write({text!r})", folder=tmp_path)
            assert kept(outcome, tmp_path) == {"f": text.encode()}

    def test_figures_are_kept_in_order(self, bench: Bench) -> None:
        code = "import matplotlib.pyplot as plt\nfor n in range(2):\n    plt.figure(); plt.plot([n])\nplt.show()"
        outcome = bench.run(code)
        if "matplotlib" not in bench.expected.packages:
            assert "matplotlib" in told(outcome)
            return
        assert outcome.status is RunStatus.SUCCEEDED, outcome.error
        assert outcome.stderr == ""
        assert len(outcome.figures) == 2
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in outcome.figures)
        assert outcome.artifacts == ()


LINKS = {
    "absolute": "os.symlink('/etc/passwd', 'bad')",
    "relative": "os.symlink('../../../../../etc/passwd', 'bad')",
    "to-a-folder": "os.symlink('/etc', 'bad')",
    "up": "os.symlink('..', 'bad')",
    "loop": "os.symlink('bad', 'bad')",
    "to-its-own-folder": "os.symlink('.', 'bad')",
    "nowhere": "os.symlink('/nowhere', 'bad')",
    "to-a-good-file": "os.symlink('good.txt', 'bad')",
    "pipe": "os.mkfifo('bad')",
    "socket": "import socket; socket.socket(socket.AF_UNIX).bind('bad')",
}


class TestHostileArtifacts:
    """What hostile programs leave: whoever copies it must not be led out, held up or filled."""

    @pytest.mark.parametrize("name", LINKS)
    def test_what_is_no_file_is_left_out_with_a_note(self, bench: Bench, tmp_path: Path, name: str) -> None:
        outcome = bench.run(f"import os\nopen('good.txt', 'w').write('good')\n{LINKS[name]}", folder=tmp_path)
        assert kept(outcome, tmp_path) == {"good.txt": b"good"}
        assert any("bad" in note for note in outcome.notes), outcome.notes

    @pytest.mark.parametrize("kind", ["S_IFCHR", "S_IFBLK"])
    def test_a_device_cannot_be_made(self, bench: Bench, kind: str) -> None:
        bench.attack(f"import stat\nos.mknod('bad', stat.{kind} | 0o666, os.makedev(1, 3))")

    def test_the_folder_itself_cannot_be_led_elsewhere(self, bench: Bench, tmp_path: Path) -> None:
        code = """
import os
open("good.txt", "w").write("good")
for work in (lambda: os.rename(os.getcwd(), "/tmp/moved"), lambda: os.rmdir(os.getcwd()),
             lambda: os.unlink("inputs"), lambda: os.symlink("/etc", "inputs")):
    try: work()
    except OSError: pass
"""
        assert kept(bench.run(code, folder=tmp_path), tmp_path) == {"good.txt": b"good"}

    def test_hard_links_count_each(self, bench: Bench, tmp_path: Path) -> None:
        code = """
import os
with open("first", "wb") as f: f.write(b"x" * (3 << 20))
for number in range(50): os.link("first", f"link-{number:02}")
"""
        outcome = bench.run(code, folder=tmp_path, limits=LIMITS)
        assert sum(map(len, kept(outcome, tmp_path).values())) <= LIMITS.folder
        assert outcome.partial
        assert "limits.folder" in told(outcome)

    def test_a_hundred_thousand_files_are_bounded(self, bench: Bench, tmp_path: Path) -> None:
        code = """
import os
for number in range(100_000):
    try: os.mkfifo(f"pipe-{number}") if number % 2 else open(f"file-{number}", "w").close()
    except OSError: break
"""
        outcome = bench.run(code, folder=tmp_path, limits=LIMITS)
        assert len(kept(outcome, tmp_path)) <= LIMITS.files
        assert len(outcome.notes) <= 50
        assert "limits.files" in told(outcome)

    def test_names_cannot_hide_or_lead_away(self, bench: Bench, tmp_path: Path) -> None:
        code = r"""
import os
names = [b"new\nline", b"\x1b[31mred", "right-\u202eleft".encode(), b"bad-\xff\xfe", b"x" * 255, b"-rf", b"back\\slash",
         b"tab\t", "\u200bzero-width".encode(), b"..dots", b" ", b"C:", "é".encode() * 127, b"\x1b" * 255]
for number, name in enumerate(names):
    open(name, "wb").write(str(number).encode())
"""
        found = kept(bench.run(code, folder=tmp_path), tmp_path)
        assert sorted(map(int, found.values())) == list(range(14))
        for name in found:
            assert name.isprintable()
            assert len(name.encode()) <= 255
            assert "/" not in name

    def test_two_names_that_look_the_same_stay_two(self, bench: Bench, tmp_path: Path) -> None:
        code = r"""
open(b"a\nb", "w").write("1")
open(r"a\nb", "w").write("2")
"""
        found = kept(bench.run(code, folder=tmp_path), tmp_path)
        assert sorted(found.values()) == [b"1", b"2"]

    def test_a_sparse_file_does_not_fill_the_disk(self, bench: Bench, tmp_path: Path) -> None:
        code = """
for size in (1 << 50, 1 << 40, 7 << 20):
    try:
        with open("sparse", "wb") as f: f.truncate(size)
    except OSError: continue
    break
"""
        found = kept(bench.run(code, folder=tmp_path, limits=LIMITS), tmp_path)
        assert [len(content) for content in found.values()] == [7 << 20]
        assert sum(path.stat().st_blocks for path in tmp_path.rglob("sparse")) * 512 <= LIMITS.folder

    def test_files_that_nobody_may_read_do_no_harm(self, bench: Bench, tmp_path: Path) -> None:
        code = """
import os
os.mkdir("shut"); open("shut/inside", "w").write("1"); os.chmod("shut", 0)
open("mute", "w").write("2"); os.chmod("mute", 0)
open("set", "w").write("3"); os.chmod("set", 0o6777)
open("good", "w").write("4")
os.chmod(".", 0)
"""
        outcome = bench.run(code, folder=tmp_path)
        found = kept(outcome, tmp_path)
        assert found["good"] == b"4"
        assert not any(path.stat().st_mode & 0o7022 for path in outcome.artifacts)
        for name in {"shut/inside", "mute"} - set(found):
            assert name.split("/")[0] in told(outcome)

    def test_deep_nesting_ends_somewhere(self, bench: Bench, tmp_path: Path) -> None:
        code = """
import os
open("good", "w").write("4")
for _ in range(1500): os.mkdir("d"); os.chdir("d")
open("deep", "w").write("1")
"""
        outcome = bench.run(code, folder=tmp_path, limits=LIMITS)
        assert kept(outcome, tmp_path)["good"] == b"4"
        assert "nested" in told(outcome)
