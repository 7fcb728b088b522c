r"""Bytes that a watched process chose, as text.

UTF-8 is read as such; bytes that are not UTF-8 stand as `\xNN`, so the text holds no surrogates and can always be
written out as UTF-8 again.
"""

from __future__ import annotations

from typing import Final

CUT: Final = "/..."
"""Stands for the upper end of a path that was too long to be recorded."""
_CACHE_LIMIT: Final = 2048
_ENV_CACHE_LIMIT: Final = 128
_paths: dict[bytes, str] = {}
_names: dict[bytes, str] = {}
_environments: dict[bytes, tuple[str, ...]] = {}


def text(raw: bytes) -> str:
    """Decode bytes; never fails."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace")


def name(raw: bytes) -> str:
    """Decode a fixed-size name field: what stands before its first NUL."""
    found = _names.get(raw)
    if found is None:
        if len(_names) >= _CACHE_LIMIT:
            _names.clear()
        found = _names[raw] = text(raw.partition(b"\0")[0])
    return found


def strings(raw: bytes) -> tuple[str, ...]:
    """Split NUL-terminated strings. Empty ones are kept, and so is a last one that was cut off before its NUL."""
    if not raw:
        return ()
    pieces = text(raw).split("\0")
    if not pieces[-1]:
        pieces.pop()
    return tuple(pieces)


def environment(raw: bytes) -> tuple[str, ...]:
    """Split an environment as `strings` does. Children mostly share their parent's, so equal ones are one object."""
    found = _environments.get(raw)
    if found is None:
        if len(_environments) >= _ENV_CACHE_LIMIT:
            _environments.clear()
        found = _environments[raw] = strings(raw)
    return found


def path(raw: bytes) -> str:
    """Join a path's components, given leaf first, each ending in NUL.

    The root may stand as an empty component, as `/`, or be left out. No bytes at all give an empty text.
    """
    found = _paths.get(raw)
    if found is None:
        if len(_paths) >= _CACHE_LIMIT:
            _paths.clear()
        found = _paths[raw] = _join(raw)
    return found


def _join(raw: bytes) -> str:
    if not raw:
        return ""
    components = [part for part in text(raw).split("\0") if part not in {"", "/"}]
    return "/" + "/".join(reversed(components))


def mark_cut(executable: str, cwd: str) -> tuple[str, str]:
    """Mark the path whose upper end is missing, so that `/.../usr/bin/git` is not taken for `/usr/bin/git`.

    Of the two, the one with more components was too long; both where they have as many.
    """
    depths = executable.count("/"), cwd.count("/")
    if depths[0] >= depths[1]:
        executable = CUT + executable
    if depths[1] >= depths[0]:
        cwd = CUT + cwd
    return executable, cwd


def components(joined: str) -> bytes:
    """Take a path apart into what `path` reads: components leaf first, each ending in NUL."""
    if not joined:
        return b""
    parts = [part.encode() + b"\0" for part in joined.split("/") if part]
    return b"".join(reversed(parts)) or b"\0"
