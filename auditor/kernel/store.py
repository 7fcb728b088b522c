"""Compiled probes kept from one start to the next, for as long as the host is not booted anew.

The store is root's alone, because what is in it is loaded into the kernel: a folder or file that anyone else may write
is not read.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from auditor.kernel.image import Image

FOLDER: Final = Path("/var/cache/auditor")
_KEPT: Final = 4
"""Images kept; the oldest go."""
_FORMAT: Final = 1
_LIMIT: Final = 16 << 20


def image_key(text: str, limits: Mapping[str, int], boot_id: str) -> str:
    """Name the image of this source text with these limits.

    It holds for one boot: the offsets of kernel structs that were compiled in hold for the running kernel only.
    """
    import hashlib  # noqa: PLC0415 - brings OpenSSL, for the loader's child alone

    return hashlib.sha256(json.dumps([_FORMAT, text, dict(sorted(limits.items())), boot_id]).encode()).hexdigest()


class Store:
    """The images in a folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def find(self, key: str) -> Image | None:
        """Return the image of this name, or None: there is none, or it is not to be trusted."""
        try:
            if not _is_ours(self._folder.stat()):
                return None
            fd = os.open(self._folder / f"{key}.image", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(fd, "rb") as file:
                return Image.from_bytes(file.read(_LIMIT)) if _is_ours(os.fstat(fd)) else None
        except (OSError, ValueError):
            return None

    def keep(self, key: str, image: Image) -> None:
        """Keep an image. Where that cannot be done, the next start compiles again, and that is all."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self._folder.stat()):
                return
            half = self._folder / f"{key}.{os.getpid()}.half"
            fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(image.to_bytes())
            half.rename(self._folder / f"{key}.image")
            self._forget()

    def _forget(self) -> None:
        images = sorted(self._folder.glob("*.image"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in images[_KEPT:]:
            path.unlink(missing_ok=True)


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
