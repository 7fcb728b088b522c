"""Cgroups (v2) by id: the number that the kernel's records carry is the inode number of the cgroup's directory."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Final

from auditor.host import mounts, procfs

KNOWN_LIMIT: Final = 4096
"""Ids that a Subtree remembers; the one not asked about for longest goes first."""


class Root:
    """The root of the hierarchy, held open. Works where cgroup v2 is mounted nowhere too."""

    def __init__(self) -> None:
        """Open it. Raises HostError where that cannot be done."""
        self.fd = mounts.open_cgroup_root()
        mount = mounts.cgroup_mount()
        self._mount = None if mount is None else str(mount)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def id_of(self, path: str) -> int:
        """Return the cgroup's id, 0 where there is no such cgroup.

        `path` is as /proc/PID/cgroup writes it (`/system.slice/ssh.service`) or below the mount point.
        """
        try:
            return os.stat(self.relative(path), dir_fd=self.fd).st_ino
        except (OSError, ValueError):
            return 0

    def id_of_process(self, pid: int) -> int:
        """Return the id of the process's cgroup, 0 where the process is gone."""
        path = procfs.cgroup_path(pid)
        return self.id_of(path) if path else 0

    def relative(self, path: str) -> str:
        """Return the path below the root, `.` for the root itself; what would climb out of it stays inside."""
        if self._mount is not None and (path + "/").startswith(self._mount + "/"):
            path = path[len(self._mount) :]
        return os.path.normpath("/" + path).lstrip("/") or "."

    def ids_below(self, path: str) -> set[int]:
        """Return the ids of the cgroup and of all that are in it. Empty where there is no such cgroup."""
        found: set[int] = set()
        waiting = [self.relative(path)]
        while waiting:
            directory = waiting.pop()
            number = self.id_of("/" + directory)
            if not number:
                continue
            found.add(number)
            waiting.extend(self._children(directory))
        return found

    def _children(self, directory: str) -> list[str]:
        try:
            fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError:
            return []
        try:
            with os.scandir(fd) as entries:
                return [f"{directory}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        finally:
            os.close(fd)


class Subtree:
    """A cgroup with all that are in it, now or later; it need not be there yet.

    Every id is looked up once: a cgroup is never moved to another parent, and its id is never used again before the
    next boot (kernfs counts up 64 bits).
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._root: Root | None = None
        self._known: OrderedDict[int, bool] = OrderedDict()

    def contains(self, cgroup_id: int) -> bool:
        """Whether the cgroup of this id is the path's, or lies in it. Raises HostError without cgroup v2."""
        known = self._known.get(cgroup_id)
        if known is not None:
            self._known.move_to_end(cgroup_id)
            return known
        if self._root is None:
            self._root = Root()
        inside = cgroup_id in self._root.ids_below(self.path)
        self._known[cgroup_id] = inside
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)
        return inside
