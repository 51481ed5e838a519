"""What a kernel sends of a folder is believed in nothing."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.execution.container._unpack import Forged, Unpacker
from osprey_executor.execution.container.kernel.folder import tell_folder


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


FORGED: dict[str, list[dict[str, Any]]] = {
    "up": [{"file": b64(b".."), "size": 1}],
    "away": [{"file": b64(b"/etc/passwd"), "size": 1}],
    "through": [{"enter": b64(b"a/../..")}],
    "null": [{"odd": b64(b"a\0b"), "kind": "link"}],
    "long": [{"file": b64(b"x" * 256), "size": 1}],
    "nothing": [{"file": b64(b""), "size": 1}],
    "no name": [{}],
    "no text": [{"file": 7, "size": 1}],
    "no size": [{"file": b64(b"a"), "size": "large"}],
    "left too often": [{"leave": 1}],
    "content of nothing": [{"more": 1, "b": b64(b"x")}],
    "content of a folder": [{"enter": b64(b"a")}, {"more": 1, "b": b64(b"x")}],
    "too much": [{"file": b64(b"a"), "size": 1}, *[{"more": 1, "b": b64(b"x" * 600)}] * 2],
    "too many": [{"file": b64(b"%d" % number), "size": 0} for number in range(11)],
    "too deep": [{"enter": b64(b"a")}] * 60,
    "no base64": [{"file": b64(b"a"), "size": 1}, {"more": 1, "b": "!"}],
}


@pytest.mark.parametrize("name", FORGED)
def test_what_no_relay_would_send_is_refused(tmp_path: Path, name: str) -> None:
    unpacker = Unpacker(tmp_path / "root", most_bytes=1000, most_files=10 if name != "too deep" else 100)
    try:
        with pytest.raises(Forged):
            unpacker.take(FORGED[name])
    finally:
        unpacker.close()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_name_twice_overwrites_nothing_and_a_link_is_not_followed(tmp_path: Path) -> None:
    unpacker = Unpacker(tmp_path / "root", most_bytes=1000, most_files=10)
    try:
        unpacker.take([{"odd": b64(b"a"), "kind": "link"}])
        for item in ({"file": b64(b"a"), "size": 1}, {"enter": b64(b"a")}):
            with pytest.raises(OSError, match="exists"):
                unpacker.take([item])
    finally:
        unpacker.close()


def test_a_folder_comes_through_as_it_was(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep" / "er").mkdir(parents=True)
    (source / "deep" / "er" / "x").write_bytes(bytes(range(256)) * 4000)
    (source / "empty").touch()
    (source / os.fsdecode(b"bad-\xff")).write_text("1")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    (source / "large").touch()
    os.truncate(source / "large", 5 << 20)
    unpacker = Unpacker(target, most_bytes=2 << 20, most_files=20)
    try:
        unpacker.take(list(tell_folder(os.open(source, os.O_RDONLY), 2 << 20, 10)))
    finally:
        unpacker.close()
    assert (target / "deep/er/x").read_bytes() == bytes(range(256)) * 4000
    assert (target / os.fsdecode(b"bad-\xff")).read_text() == "1"
    assert str((target / "link").readlink()) != "/etc/passwd"
    assert (target / "pipe").is_fifo()
    assert ((target / "large").stat().st_size, (target / "large").stat().st_blocks) == (5 << 20, 0)
