"""Doors of the kernel through which code would gain power: all are shut. Every attack is harmless where one is open."""

from __future__ import annotations

import pytest

from osprey_executor.testing.engine_conformance._bench import Bench

SYSCALL = """
numbers = {{"x86_64": {{"keyctl": 250, "bpf": 321}}, "aarch64": {{"keyctl": 219, "bpf": 280}}}}
numbers = {{"io_uring_setup": 425, "fsopen": 430, **numbers[os.uname().machine]}}
def call(name, *arguments):
    wide = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return done(libc.syscall(ctypes.c_long(numbers[name]), *wide))
{code}
"""
CALLS = {
    "io_uring": "return call('io_uring_setup', 1, ctypes.create_string_buffer(120))",
    "keyrings": "return call('keyctl', 0, -3, 0)",
    "bpf": """
import struct
array_map = struct.pack("IIII", 2, 4, 8, 1)  # kind, size of a key, size of a value, entries
return call("bpf", 0, ctypes.create_string_buffer(array_map, 128), 128)
""",
    "new-file-system": "return call('fsopen', b'tmpfs', 0)",
}
NEW_USER, NEW_MOUNT = 0x10000000, 0x00020000


class TestIsolationOfKernel:
    """Calls that ordinary programs never make."""

    @pytest.mark.parametrize("name", CALLS)
    def test_a_call_is_refused(self, bench: Bench, name: str) -> None:
        bench.attack(SYSCALL.format(code=CALLS[name]))

    def test_no_user_namespace_can_be_made(self, bench: Bench) -> None:
        bench.attack(f"in_child(lambda: done(libc.unshare({NEW_USER})))")

    def test_nothing_can_be_mounted(self, bench: Bench) -> None:
        bench.attack(
            f"""
            def mount():
                done(libc.unshare({NEW_USER | NEW_MOUNT}))  # where that is granted, nobody else sees the mount
                done(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None))
            in_child(mount)
            """
        )

    def test_no_process_can_be_traced(self, bench: Bench) -> None:
        bench.attack("in_child(lambda: done(libc.ptrace(0, 0, 0, 0)))")

    def test_nobody_becomes_root(self, bench: Bench) -> None:
        bench.attack("in_child(lambda: os.setuid(0))")

    def test_no_program_can_give_more_rights(self, bench: Bench) -> None:
        bench.attack(
            """
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            held = [name for name in ("CapEff", "CapPrm", "CapInh", "CapAmb") if int(status[name], 16)]
            if held or status["NoNewPrivs"].strip() != "1":
                return held, status["NoNewPrivs"]
            raise OSError("no capability, no_new_privs")
            """
        )

    @pytest.mark.parametrize("root", ["/proc/sys", "/sys"])
    def test_no_setting_of_the_machine_can_be_written(self, bench: Bench, root: str) -> None:
        bench.attack(
            f"""
            for folder, _, files in os.walk({root!r}):
                for path in (os.path.join(folder, name) for name in files):
                    if os.access(path, os.W_OK):
                        return path
            raise OSError("nothing that could be written")
            """
        )

    def test_no_device_is_there_but_the_harmless_ones(self, bench: Bench) -> None:
        bench.attack(
            """
            import stat
            harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx"}
            for name in sorted(set(os.listdir("/dev")) - harmless):
                path = os.path.join("/dev", name)
                mode = os.stat(path).st_mode if os.path.exists(path) else 0
                if not os.path.islink(path) and (stat.S_ISBLK(mode) or stat.S_ISCHR(mode)):
                    return path
            raise OSError("nothing but " + " ".join(os.listdir("/dev")))
            """
        )
