"""Files of the host: none is seen, read, changed or made; and nothing that code wrote is run as a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.testing.engine_conformance._bench import Bench

# Written by the attack, run by it, and gone: a script, as no compiler is needed for it.
RUN = """
path = os.path.join({folder}, "program")
with open(path, "w") as stream: stream.write("#!/bin/sh\\nexit 0\\n")
os.chmod(path, 0o755)
in_child(lambda: os.execv(path, [path]))
"""


class TestIsolationOfFiles:
    """Every attack is harmless: it reads and writes below the test's own folder alone."""

    @pytest.fixture
    def host(self, tmp_path: Path) -> Path:
        """A folder of the host that everybody may read and write."""
        (tmp_path / "file.txt").write_text("of the host")
        for path in (tmp_path.parent, tmp_path):
            path.chmod(0o755)
        tmp_path.chmod(0o777)
        (tmp_path / "file.txt").chmod(0o666)
        return tmp_path

    def test_a_file_cannot_be_read(self, bench: Bench, host: Path) -> None:
        bench.attack(f"return open({str(host / 'file.txt')!r}).read()")

    def test_a_folder_cannot_be_listed(self, bench: Bench, host: Path) -> None:
        bench.attack(f"return os.listdir({str(host)!r})")

    def test_a_file_cannot_be_made(self, bench: Bench, host: Path) -> None:
        bench.attack(f"open({str(host / 'marker')!r}, 'w').write('written')")
        assert not (host / "marker").exists()

    def test_a_file_cannot_be_linked_into_the_folder(self, bench: Bench, host: Path) -> None:
        bench.attack(f"os.symlink({str(host / 'file.txt')!r}, 'link')\nreturn open('link').read()")

    def test_a_file_cannot_be_reached_by_going_up(self, bench: Bench, host: Path) -> None:
        bench.attack(f"return open('../' * 40 + {str(host / 'file.txt').lstrip('/')!r}).read()")

    def test_a_file_cannot_be_reached_through_a_process(self, bench: Bench, host: Path) -> None:
        bench.attack(
            f"""
            refused = None
            for process in [name for name in os.listdir("/proc") if name.isdigit()]:
                try: return open("/proc/" + process + "/root" + {str(host / "file.txt")!r}).read()
                except OSError as error: refused = error
            raise refused
            """
        )

    def test_an_input_cannot_be_changed(self, bench: Bench, host: Path) -> None:
        bench.attack("open('inputs/data', 'a').write('more')", inputs={"data": host / "file.txt"})
        assert (host / "file.txt").read_text() == "of the host"

    def test_what_another_run_left_cannot_be_read(self, bench: Bench) -> None:
        left = bench.run("open('left.txt', 'w').write('private')").artifacts[0]
        bench.attack(f"return open({str(left)!r}).read()")

    def test_what_later_runs_import_cannot_be_changed(self, bench: Bench) -> None:
        bench.attack(
            """
            import osprey_executor.runtime as runtime
            path = os.path.join(os.path.dirname(runtime.__file__), "marker-of-conformance")
            open(path, "w").close()
            os.unlink(path)
            """
        )

    @pytest.mark.parametrize("folder", ["os.getcwd()", "__import__('tempfile').gettempdir()", "'/dev/shm'", "'/tmp'"])
    def test_a_written_file_cannot_be_executed(self, bench: Bench, folder: str) -> None:
        # Where it cannot even be written, that is as good.
        bench.attack(RUN.format(folder=folder) + "\nos.unlink(path)")

    def test_a_written_file_cannot_be_mapped_as_a_program(self, bench: Bench) -> None:
        bench.attack(
            """
            import mmap
            with open("library.so", "w+b") as stream:
                stream.write(bytes(4096)); stream.flush()
                mmap.mmap(stream.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
            """
        )

    def test_memory_cannot_be_executed_as_a_file(self, bench: Bench) -> None:
        bench.attack(
            """
            descriptor = os.memfd_create("program", 0)
            os.write(descriptor, b"#!/bin/sh\\nexit 0\\n")
            in_child(lambda: os.execve(descriptor, ["program"], {}))
            """
        )
