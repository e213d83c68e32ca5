"""Writing a file so that a reader finds the old one or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

_UMASK = os.umask(0o077)  # asked by setting it, so once and early: it is the whole process's
os.umask(_UMASK)


@contextlib.contextmanager
def atomic_write(path: Any) -> Iterator[IO[bytes]]:
    """A file to write; it takes the place of `path` when the block ends without an error, and is removed otherwise."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "posix":
                os.fchmod(file.fileno(), 0o666 & ~_UMASK)  # mkstemp's files are their owner's alone
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
