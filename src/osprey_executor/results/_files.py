"""Files of a run folder: written whole or not at all, never through a link, and every failure one clear sentence.

What is written outlives this process. Only what `make_durable` was called for outlives a loss of power, too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.errors import StorageError
from osprey_executor.models import show_size
from osprey_executor.text import one_line

TOO_LARGE = errno.EFBIG
PIECE = 2**20
_UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.writing")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
# O_NONBLOCK: opening a FIFO without a writer must not hang.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EROFS: "the file system is read-only; set OSPREY_EXECUTOR_HOME to a writable folder",
    errno.EACCES: "permission denied; give yourself access, or set OSPREY_EXECUTOR_HOME to another folder",
    errno.EPERM: "permission denied; give yourself access, or set OSPREY_EXECUTOR_HOME to another folder",
    errno.ENOENT: "it is missing; was the run folder moved or deleted?",
    errno.ENOTDIR: "a part of its path is not a folder; move that file away, or set OSPREY_EXECUTOR_HOME",
    errno.EISDIR: "it is a folder, not a file",
    errno.EEXIST: "something else is there already",
    errno.ELOOP: "it is a symbolic link, which a run folder never holds",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EMFILE: "this process has too many files open",
}


@dataclass(frozen=True)
class Kept:
    """What was written of one file."""

    size: int
    sha256: str


class NotARegularFile(OSError):
    """A folder, FIFO, socket or device where a file was expected."""


def cause_of(error: OSError) -> str:
    """Return why a file operation failed, in words, with what to do."""
    if isinstance(error, NotARegularFile):
        return "it is not a regular file"
    return _CAUSES.get(error.errno or 0, (error.strerror or str(error)).lower())


def storage_error(path: Path, what: str, error: OSError) -> StorageError:
    """Return the StorageError of a failure: `what` is `written`, `read`, `made`."""
    return StorageError(f"{one_line(str(path), 500)} cannot be {what}: {cause_of(error)}")


def damaged(path: Path, why: str) -> StorageError:
    """Return the StorageError of a file whose content is not what was written."""
    return StorageError(
        f"{one_line(str(path), 500)} is damaged: {why}; the record of this run cannot be trusted any more"
    )


def make_folder(path: Path) -> Path:
    """Make a folder and the missing ones above it, all of mode 0700; one that is there already stays.

    Raises:
        StorageError: it cannot be made, or something else is there.
    """
    try:
        if not os.path.lexists(path):
            if not os.path.lexists(path.parent):
                make_folder(path.parent)
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
    except OSError as error:
        raise storage_error(path, "made", error) from error
    return path


def make_durable(folder: Path) -> None:
    """Return when everything in a folder would outlive a loss of power.

    Raises:
        StorageError: it cannot be written to the disk.
    """
    try:
        for place, _, names in os.walk(folder):
            for name in names:
                path = Path(place, name)
                if stat.S_ISREG(path.lstat().st_mode):
                    _sync(path, os.O_NOFOLLOW)
            _sync(Path(place), os.O_DIRECTORY)
    except OSError as error:
        raise storage_error(folder, "written", error) from error


def write(path: Path, data: bytes | bytearray, *, mode: int = 0o600) -> Kept:
    """Write a file whole, and in one step for whoever reads it.

    Raises:
        StorageError: it cannot be written; what was there before is still there.
    """
    with fresh(path, mode) as descriptor:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view[:PIECE]) :]
    return Kept(len(data), hashlib.sha256(data).hexdigest())


def write_text(path: Path, text: str) -> Kept:
    """Write text as UTF-8 without translating newlines; lone surrogates become escapes, so that anyone can read it.

    Raises:
        StorageError: it cannot be written.
    """
    return write(path, text.encode("utf-8", "backslashreplace"))


def copy(source: Path, target: Path, *, most_bytes: int, follow: bool = False, mode: int = 0o400) -> Kept:
    """Copy a regular file, up to `most_bytes`.

    Args:
        source: the file; only with `follow` may its last part be a symbolic link.
        target: replaced in one step.
        most_bytes: bound on the copy; a larger file is refused.
        follow: whether `source` is named by a person, who may name a link.
        mode: of the copy.

    Raises:
        OSError: `source` cannot be read; NotARegularFile and EFBIG among them.
        StorageError: `target` cannot be written.
    """
    reading = open_regular(source, follow=follow)
    try:
        if os.fstat(reading).st_size > most_bytes:
            raise _too_large(most_bytes)
        digest = hashlib.sha256()
        size = 0
        with fresh(target, mode) as descriptor:
            while piece := _read_piece(reading):
                size += len(piece)
                if size > most_bytes:
                    raise _SourceFailed(_too_large(most_bytes))
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(descriptor, view) :]
    except _SourceFailed as failed:
        raise failed.error from None
    finally:
        os.close(reading)
    return Kept(size, digest.hexdigest())


def move(source: Path, target: Path) -> None:
    """Move a regular file into the run folder by renaming it, by copying where it lies on another file system.

    Raises:
        OSError: `source` is not a regular file, or cannot be read.
        StorageError: `target` cannot be written.
    """
    descriptor = open_regular(source)
    try:
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    make_folder(target.parent)
    try:
        source.rename(target)
        target.chmod(0o400, follow_symlinks=True)
    except OSError as error:
        # Another file system, or a folder that the program made unwritable.
        if error.errno not in (errno.EXDEV, errno.EACCES, errno.EPERM):
            raise storage_error(target, "written", error) from error
        copy(source, target, most_bytes=size)
        with suppress(OSError):
            source.unlink()


def share(source: Path, target: Path) -> None:
    """Give a file of the run folder a second name: a hard link, or a copy where the file system has none.

    Raises:
        StorageError: it cannot be made.
    """
    make_folder(target.parent)
    try:
        target.unlink(missing_ok=True)
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOSPC, errno.EDQUOT):
            raise storage_error(target, "written", error) from error
        try:
            copy(source, target, most_bytes=2**62)
        except OSError as failed:
            raise storage_error(source, "read", failed) from failed


def read(path: Path, *, most_bytes: int) -> bytes:
    """Return the content of a regular file of the run folder.

    Raises:
        StorageError: missing, unreadable, not a regular file, or larger than `most_bytes`.
    """
    return bytes(read_blob(path, most_bytes=most_bytes))


def read_blob(path: Path, *, most_bytes: int) -> bytearray:
    """Return what `read` does, as a bytearray: arrays live on in it without a copy.

    Raises:
        StorageError: as `read`.
    """
    try:
        descriptor = open_regular(path)
        with os.fdopen(descriptor, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most_bytes:
                raise _too_large(most_bytes)
            data = bytearray(size)
            del data[file.readinto(data) :]
            return data
    except OSError as error:
        raise storage_error(path, "read", error) from error


def read_text(path: Path, *, most_bytes: int) -> str:
    """Return a text file of the run folder, newlines untranslated, bytes that are not UTF-8 escaped.

    Raises:
        StorageError: it cannot be read.
    """
    return read_blob(path, most_bytes=most_bytes).decode("utf-8", "backslashreplace")


def size_of(path: Path) -> int:
    """Return the size of a file of the run folder in bytes.

    Raises:
        StorageError: it is not there.
    """
    try:
        return path.lstat().st_size
    except OSError as error:
        raise storage_error(path, "read", error) from error


def digest_of_file(path: Path) -> Kept:
    """Return size and SHA-256 of a regular file.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        descriptor = open_regular(path)
        with os.fdopen(descriptor, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return Kept(file.tell(), digest.hexdigest())
    except OSError as error:
        raise storage_error(path, "read", error) from error


def remove_tree(path: Path) -> None:
    """Remove a folder of the run folder with all in it; links in it are removed, not followed.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        try:
            shutil.rmtree(path)
        except PermissionError:
            _unlock_folders(path)
            shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(path, "removed", error) from error


def remove_file(path: Path) -> None:
    """Remove a file of the run folder, if it is there.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, "removed", error) from error


def open_regular(path: Path, *, follow: bool = False) -> int:
    """Return a descriptor for reading a regular file.

    Raises:
        OSError: it cannot be opened; NotARegularFile for anything but a regular file.
    """
    descriptor = os.open(path, _READ if follow else _READ | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotARegularFile(errno.EINVAL, "not a regular file", str(path))
    return descriptor


class _SourceFailed(Exception):
    def __init__(self, error: OSError) -> None:
        self.error = error
        super().__init__(str(error))


def _read_piece(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, PIECE)
    except OSError as error:
        raise _SourceFailed(error) from error


def _unlock_folders(path: Path) -> None:
    """Undo what a program did to its own folders so that nobody can clear them away."""
    path.chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            below = Path(folder, name)
            if not below.is_symlink():
                below.chmod(0o700)


def _too_large(most_bytes: int) -> OSError:
    return OSError(TOO_LARGE, f"it is larger than the limit of {show_size(most_bytes)}")


def is_unfinished(name: str) -> bool:
    """Return whether a file of this name is one that some process is just writing, or died while writing."""
    return _UNFINISHED.fullmatch(name) is not None


def _aside() -> str:
    return f".{secrets.token_hex(8)}.writing"


@contextmanager
def fresh(path: Path, mode: int) -> Generator[int]:
    make_folder(path.parent)
    aside = path.with_name(_aside())
    try:
        descriptor = os.open(aside, _NEW, mode)
        try:
            try:
                yield descriptor
            finally:
                os.close(descriptor)
            aside.replace(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
    except OSError as error:
        raise storage_error(path, "written", error) from error


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems know no fsync of a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
