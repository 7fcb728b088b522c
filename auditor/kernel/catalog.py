"""The probes as tables: which hooks there are, what each needs, yields and costs, and what the C text is given.

A new probe is a function in a file under bpf/ and a row here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from auditor.kernel.btf import Offset

# Program and attach types, from include/uapi/linux/bpf.h.
PROG_TRACEPOINT: Final = 5
PROG_CGROUP_DEVICE: Final = 15
PROG_RAW_TRACEPOINT: Final = 17
PROG_CGROUP_SOCK_ADDR: Final = 18
ATTACH_CGROUP_DEVICE: Final = 6
ATTACH_CONNECT4: Final = 10
ATTACH_CONNECT6: Final = 11
ATTACH_SENDMSG4: Final = 14
ATTACH_SENDMSG6: Final = 15


class Hook(NamedTuple):
    """One probe and where it hangs."""

    function: str
    """Its name in bpf/."""
    kind: str
    """`raw_tracepoint`, `cgroup` or `tracepoint`."""
    target: str
    """The tracepoint (`sched_process_fork`, `syscalls/sys_enter_ioctl`), or the cgroup hook's usual name."""
    program: int
    attach: int
    """Expected attach type of a cgroup program; 0 otherwise."""
    standing: bool
    """Attached for the whole run; otherwise only while something needs it."""
    yields: str
    needs: str
    costs: str
    """To a process that is not watched, while attached. Measured by scripts/bench: docs/overhead.md."""


HOOKS: Final = (
    Hook("on_fork", "raw_tracepoint", "sched_process_fork", PROG_RAW_TRACEPOINT, 0, True,
         "fork", "CAP_BPF and CAP_PERFMON, or root", "a map lookup a fork"),
    Hook("on_exec", "raw_tracepoint", "sched_process_exec", PROG_RAW_TRACEPOINT, 0, True,
         "exec", "CAP_BPF and CAP_PERFMON, or root", "a map lookup an exec"),
    Hook("on_exit", "raw_tracepoint", "sched_process_exit", PROG_RAW_TRACEPOINT, 0, True,
         "exit", "CAP_BPF and CAP_PERFMON, or root", "a map lookup a thread's exit"),
    Hook("on_connect4", "cgroup", "connect4", PROG_CGROUP_SOCK_ADDR, ATTACH_CONNECT4, True,
         "connect over IPv4", "cgroup v2, CAP_NET_ADMIN", "a map lookup a connect"),
    Hook("on_connect6", "cgroup", "connect6", PROG_CGROUP_SOCK_ADDR, ATTACH_CONNECT6, True,
         "connect over IPv6", "cgroup v2, CAP_NET_ADMIN", "a map lookup a connect"),
    Hook("on_sendmsg4", "cgroup", "sendmsg4", PROG_CGROUP_SOCK_ADDR, ATTACH_SENDMSG4, True,
         "datagrams sent without connect over IPv4", "cgroup v2, CAP_NET_ADMIN", "a map lookup a datagram"),
    Hook("on_sendmsg6", "cgroup", "sendmsg6", PROG_CGROUP_SOCK_ADDR, ATTACH_SENDMSG6, True,
         "datagrams sent without connect over IPv6", "cgroup v2, CAP_NET_ADMIN", "a map lookup a datagram"),
    Hook("on_device", "cgroup", "device", PROG_CGROUP_DEVICE, ATTACH_CGROUP_DEVICE, True,
         "GPU device opened", "cgroup v2, CAP_NET_ADMIN", "two map lookups an open of a character device"),
    Hook("on_ioctl_enter", "tracepoint", "syscalls/sys_enter_ioctl", PROG_TRACEPOINT, 0, False,
         "GPU ioctl, begun", "tracefs", "47 ns a system call, only while a watched process holds a GPU"),
    Hook("on_ioctl_exit", "tracepoint", "syscalls/sys_exit_ioctl", PROG_TRACEPOINT, 0, False,
         "GPU ioctl, its result", "tracefs", "27 ns a system call, only while a watched process holds a GPU"),
)  # fmt: skip

SOURCES: Final = ("wire.h", "prelude.c", "process.c", "network.c", "gpu.c")
"""Files under bpf/, joined in this order."""

LIMITS: Final = {
    "RING_PAGES": 2048,  # 8 MiB: 0.7 s of 100,000 connects a second, at 112 bytes each, between two polls
    "LABELS": 65_536,  # processes tracked at once
    "PEERS": 16_384,  # datagram peers remembered, least recently used go first
    "KNOWN_FILES": 4096,  # executables remembered as seen, least recently used go first
    "GPU_COUNTS": 16_384,  # (process, device, request) counted between two summaries
}

GAUGES: Final = (
    "tracked",
    "ring.fork",
    "ring.exec",
    "ring.exit",
    "ring.connect",
    "ring.send",
    "ring.gpu",
    "label.full",
    "gpu.counts-full",
    "gpu.inflight-full",
    "ring.candidate",
)
"""`enum gauge` of bpf/prelude.c, in its order. All but the first count losses."""

MAPS: Final = ("ring", "labels", "gauges", "settings", "gpu_devices", "gpu_counts")
"""Maps that the reader uses."""

OFFSETS: Final = (
    Offset("task_tgid", "task_struct", ("tgid",)),
    Offset("task_pid", "task_struct", ("pid",)),
    Offset("task_start_boottime", "task_struct", ("start_boottime", "real_start_time")),
    Offset("task_group_leader", "task_struct", ("group_leader",)),
    Offset("task_real_parent", "task_struct", ("real_parent",)),
    Offset("task_signal", "task_struct", ("signal",)),
    Offset("task_cred", "task_struct", ("cred",)),
    Offset("task_nsproxy", "task_struct", ("nsproxy",)),
    Offset("task_thread_pid", "task_struct", ("thread_pid",)),
    Offset("task_mm", "task_struct", ("mm",)),
    Offset("task_fs", "task_struct", ("fs",)),
    Offset("task_files", "task_struct", ("files",)),
    Offset("task_exit_code", "task_struct", ("exit_code",)),
    Offset("signal_live", "signal_struct", ("live",)),
    Offset("signal_flags", "signal_struct", ("flags",)),
    Offset("signal_group_exit_code", "signal_struct", ("group_exit_code",)),
    Offset("signal_tty", "signal_struct", ("tty",)),
    Offset("signal_pids", "signal_struct", ("pids",)),
    Offset("tty_name", "tty_struct", ("name",)),
    Offset("pid_level", "pid", ("level",)),
    Offset("pid_numbers", "pid", ("numbers",)),
    Offset("upid_nr", "upid", ("nr",)),
    Offset("upid_ns", "upid", ("ns",)),
    Offset("pid_namespace_ns", "pid_namespace", ("ns",)),
    Offset("mnt_namespace_ns", "mnt_namespace", ("ns",)),
    Offset("net_ns", "net", ("ns",)),
    Offset("ns_inum", "ns_common", ("inum",)),
    Offset("nsproxy_mnt_ns", "nsproxy", ("mnt_ns",)),
    Offset("nsproxy_net_ns", "nsproxy", ("net_ns",)),
    Offset("cred_uid", "cred", ("uid",)),
    Offset("cred_gid", "cred", ("gid",)),
    Offset("cred_euid", "cred", ("euid",)),
    Offset("cred_egid", "cred", ("egid",)),
    Offset("mm_arg_start", "mm_struct", ("arg_start",)),
    Offset("mm_arg_end", "mm_struct", ("arg_end",)),
    Offset("mm_env_start", "mm_struct", ("env_start",)),
    Offset("mm_env_end", "mm_struct", ("env_end",)),
    Offset("bprm_file", "linux_binprm", ("file",)),
    Offset("fs_pwd", "fs_struct", ("pwd",)),
    Offset("path_mnt", "path", ("mnt",)),
    Offset("path_dentry", "path", ("dentry",)),
    Offset("file_f_path", "file", ("f_path",)),
    Offset("file_f_inode", "file", ("f_inode",)),
    Offset("vfsmount_mnt_root", "vfsmount", ("mnt_root",)),
    Offset("mount_mnt", "mount", ("mnt",)),
    Offset("mount_mnt_parent", "mount", ("mnt_parent",)),
    Offset("mount_mnt_mountpoint", "mount", ("mnt_mountpoint",)),
    Offset("dentry_d_parent", "dentry", ("d_parent",)),
    Offset("dentry_d_name", "dentry", ("d_name",)),
    Offset("qstr_name", "qstr", ("name",)),
    Offset("inode_i_sb", "inode", ("i_sb",)),
    Offset("inode_i_ino", "inode", ("i_ino",)),
    Offset("inode_i_mode", "inode", ("i_mode",)),
    Offset("inode_i_nlink", "inode", ("i_nlink",)),
    Offset("inode_i_size", "inode", ("i_size",)),
    Offset("inode_i_rdev", "inode", ("i_rdev",)),
    # 6.11 split the time stamps into seconds and nanoseconds; 6.6 and 6.7 had renamed them before.
    Offset("inode_mtime_sec", "inode", ("i_mtime_sec", "__i_mtime.tv_sec", "i_mtime.tv_sec")),
    Offset("inode_mtime_nsec", "inode", ("i_mtime_nsec", "__i_mtime.tv_nsec", "i_mtime.tv_nsec")),
    Offset("inode_ctime_sec", "inode", ("i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec")),
    Offset("inode_ctime_nsec", "inode", ("i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec")),
    Offset("super_block_s_dev", "super_block", ("s_dev",)),
    Offset("files_fdt", "files_struct", ("fdt",)),
    Offset("fdtable_max_fds", "fdtable", ("max_fds",)),
    Offset("fdtable_fd", "fdtable", ("fd",)),
)

SIZES: Final = ("upid",)
