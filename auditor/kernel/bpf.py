"""The few system calls that attached probes and their maps need, by ctypes; no library of bcc's stays in memory.

Everything here is held by a file descriptor: when it closes, however the process dies, the kernel lets go.
Layouts are those of `union bpf_attr` in include/uapi/linux/bpf.h and of include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_NUMBERS: Final = {"x86_64": (321, 298), "aarch64": (280, 241)}  # bpf, perf_event_open

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE = 0, 1, 2, 3
_PROG_LOAD, _OBJECT_INFO, _RAW_TRACEPOINT_OPEN, _LINK_CREATE = 5, 15, 17, 28
_LOOKUP_BATCH, _LOOKUP_AND_DELETE_BATCH = 24, 25
_PERF_TYPE_TRACEPOINT, _PERF_FD_CLOEXEC = 2, 8
_PERF_SET_BPF, _PERF_ENABLE = 0x40042408, 0x2400
_BATCH: Final = 512
_LOG_BYTES: Final = 4 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def _call(which: int, *arguments: object) -> int:
    try:
        number = _NUMBERS[os.uname().machine][which]
    except KeyError:
        raise OSError(errno.ENOSYS, f"no system call numbers known for {os.uname().machine}") from None
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _bpf(command: int, attributes: bytes | ctypes.Array[ctypes.c_char]) -> int:
    if isinstance(attributes, bytes):
        attributes = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    return _call(0, ctypes.c_int(command), attributes, ctypes.c_uint(len(attributes)))


class MapShape(NamedTuple):
    """What a map is made from: `union bpf_attr` of BPF_MAP_CREATE."""

    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


class RefusedError(OSError):
    """The kernel refused a program; says why, in the verifier's last words."""


def lift_memory_limit() -> None:
    """Lift this process's limit on locked memory as far as it may.

    Before Linux 5.11 maps and programs count against it, and it is 64 KiB by default. Later kernels charge them to the
    cgroup.
    """
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:  # without CAP_SYS_RESOURCE: up to where it was capped
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))


def create_map(shape: MapShape) -> int:
    """Make a map; returns its descriptor. Raises OSError."""
    # ..., inner_map_fd, numa_node, map_name
    attributes = struct.pack(
        "<IIIIIII16s", shape.type, shape.key_size, shape.value_size, shape.max_entries, shape.flags, 0, 0,
        shape.name.encode()[:15],
    )  # fmt: skip
    return _bpf(_MAP_CREATE, attributes)


def map_shape(fd: int) -> MapShape:
    """Tell what an open map was made from."""
    info = ctypes.create_string_buffer(128)
    _bpf(_OBJECT_INFO, struct.pack("<IIQ", fd, len(info), ctypes.addressof(info)))
    kind, _, key_size, value_size, max_entries, flags, name = struct.unpack_from("<IIIIII16s", info)
    return MapShape(name.rstrip(b"\0").decode(), kind, key_size, value_size, max_entries, flags)


def load_program(code: bytes, kind: int, attach_type: int, name: str) -> int:
    """Load a program of `kind` (BPF_PROG_TYPE_*), for `attach_type` where it is a cgroup's; returns its descriptor.

    Raises:
        RefusedError: the kernel refuses it.

    """
    text = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    for log_bytes in (0, _LOG_BYTES):  # the verifier's log is asked for only where there is something to tell
        log = ctypes.create_string_buffer(max(log_bytes, 1))
        # ..., log_level, log_size, log_buf, kern_version, prog_flags, prog_name, prog_ifindex, expected_attach_type
        attributes = struct.pack(
            "<IIQQIIQII16sII", kind, len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence),
            1 if log_bytes else 0, log_bytes, ctypes.addressof(log) if log_bytes else 0, 0, 0, name.encode()[:15],
            0, attach_type,
        )  # fmt: skip
        try:
            return _bpf(_PROG_LOAD, attributes)
        except OSError as error:
            failure = error
    lines = [line for line in log.value.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    words = [line for line in lines if not line.startswith("processed ")][-1:]
    raise RefusedError(failure.errno, "; ".join([str(failure.strerror), *words]))


class Map:
    """A hash or array map, its keys and values as bytes."""

    def __init__(self, fd: int, key_size: int, value_size: int) -> None:
        """Take over the descriptor `fd` of a map with these sizes in bytes."""
        self.fd = fd
        self._key = ctypes.create_string_buffer(key_size)
        self._value = ctypes.create_string_buffer(value_size)
        self._key_size = key_size
        self._value_size = value_size

    def _element(self, command: int, flags: int = 0) -> None:
        # The kernel wants what a command does not use to be zero.
        value = 0 if command == _MAP_DELETE else ctypes.addressof(self._value)
        _bpf(command, struct.pack("<IIQQQ", self.fd, 0, ctypes.addressof(self._key), value, flags))

    def get(self, key: bytes) -> bytes | None:
        """Return the value at `key`, or None."""
        self._key.raw = key
        try:
            self._element(_MAP_LOOKUP)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return self._value.raw

    def set(self, key: bytes, value: bytes) -> None:
        """Set the value at `key`. Raises OSError (E2BIG) where the map is full."""
        self._key.raw = key
        self._value.raw = value
        self._element(_MAP_UPDATE)

    def delete(self, key: bytes) -> None:
        """Remove `key`, if it is there."""
        self._key.raw = key
        try:
            self._element(_MAP_DELETE)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Go through the map in batches. What changes meanwhile may be missed or seen twice."""
        return self._batches(_LOOKUP_BATCH)

    def drain(self) -> Iterator[tuple[bytes, bytes]]:
        """Go through the map and empty it, each element being read and removed in one step."""
        return self._batches(_LOOKUP_AND_DELETE_BATCH)

    def _batches(self, command: int) -> Iterator[tuple[bytes, bytes]]:
        keys = ctypes.create_string_buffer(self._key_size * _BATCH)
        values = ctypes.create_string_buffer(self._value_size * _BATCH)
        position = ctypes.create_string_buffer(max(self._key_size, 8))
        first, done = True, False
        while not done:
            at = ctypes.addressof(position)
            attributes = ctypes.create_string_buffer(
                struct.pack("<QQQQIIQQ", 0 if first else at, at, ctypes.addressof(keys), ctypes.addressof(values),
                            _BATCH, self.fd, 0, 0), 128)  # fmt: skip
            first = False
            try:
                _bpf(command, attributes)
            except OSError as error:
                if error.errno != errno.ENOENT:  # ENOENT: that was the last batch
                    raise
                done = True
            (count,) = struct.unpack_from("<I", attributes, 32)
            raw_keys, raw_values = keys.raw, values.raw
            for index in range(count):
                k, v = index * self._key_size, index * self._value_size
                yield raw_keys[k : k + self._key_size], raw_values[v : v + self._value_size]


def attach_raw_tracepoint(program: int, name: str) -> int:
    """Attach to a raw tracepoint; returns the descriptor that holds it there."""
    text = ctypes.create_string_buffer(name.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("<QI", ctypes.addressof(text), program))


def attach_cgroup(program: int, cgroup: int, attach_type: int) -> int:
    """Attach to the cgroup open at `cgroup` by a link, beside whatever others attached; returns the link's descriptor.

    Cgroup links exist since Linux 5.7.
    """
    return _bpf(_LINK_CREATE, struct.pack("<IIII", program, cgroup, attach_type, 0))


def attach_tracepoint(program: int, tracepoint_id: int) -> int:
    """Attach to the tracepoint of this id (tracefs: events/.../id); returns the descriptor that holds it there."""
    # In this order: type, size (PERF_ATTR_SIZE_VER5), config, sample_period, sample_type, read_format, flag bits,
    # wakeup_events.
    attributes = struct.pack("<IIQQQQQI", _PERF_TYPE_TRACEPOINT, 112, tracepoint_id, 1, 0, 0, 0, 1)
    buffer = ctypes.create_string_buffer(attributes.ljust(112, b"\0"), 112)
    anyone, cpu, no_group = ctypes.c_int(-1), ctypes.c_int(0), ctypes.c_int(-1)
    event = _call(1, buffer, anyone, cpu, no_group, ctypes.c_ulong(_PERF_FD_CLOEXEC))
    try:
        fcntl.ioctl(event, _PERF_SET_BPF, program)
        fcntl.ioctl(event, _PERF_ENABLE, 0)
    except OSError:
        os.close(event)
        raise
    return event
