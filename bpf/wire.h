/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Layout of the records that the probes write; nothing else. auditor/model/records.py describes the frame around them and
 * auditor/decode/wire.py reads them; tests/contract/test_wire_layout.py compiles this file with a plain C compiler and
 * compares every size and offset with the Python side.
 *
 * Little endian, naturally aligned, no implicit padding (the test compiles with -Wpadded -Werror).
 */
#ifndef AUDITOR_WIRE_H
#define AUDITOR_WIRE_H

enum auditor_kind {
	KIND_FORK      = 0x0101,
	KIND_EXEC      = 0x0102,
	KIND_EXIT      = 0x0103,
	KIND_CANDIDATE = 0x0104,
	KIND_CONNECT   = 0x0201,
	KIND_SEND      = 0x0202,
	KIND_GPU_OPEN  = 0x0301,
	KIND_GPU_USE   = 0x0302,
};

enum auditor_flag {
	FLAG_ARGV_TRUNCATED = 1 << 0,
	FLAG_ENV_TRUNCATED  = 1 << 1,
	FLAG_PATH_TRUNCATED = 1 << 2,
	FLAG_MEMFD          = 1 << 3,
	FLAG_DELETED        = 1 << 4,
	FLAG_UNREADABLE     = 1 << 5,
	FLAG_AGENT          = 1 << 6,
	FLAG_CALL_ROOT      = 1 << 7,
};

/* Opens every record. Times are nanoseconds of CLOCK_BOOTTIME. */
struct record_header {
	u16 kind;
	u16 flags;
	u32 tgid;          /* of the acting process, in the host's pid namespace */
	u64 time_ns;
	u64 start_ns;      /* start time of the acting process: with tgid its task id */
	u32 tid;
	u32 session;       /* number that user space gave the session; 0: none */
	u64 call_start_ns; /* task id of the tool call's first process; 0, 0: no tool call (the agent itself) */
	u32 call_tgid;
	u32 label_source;
};

/* The header names the child. */
struct fork_record {
	struct record_header header;
	u64 parent_start_ns;
	u32 parent_tgid;
	u32 parent_tid;
	char comm[16];
};

/*
 * Followed by, without padding: the executable's path (path_len bytes), the working directory (cwd_len), argv
 * (argv_len) and the environment (env_len). Paths are a list of components from the leaf up to the root, each ending in
 * NUL; argv and environment are as in the process's memory, each string ending in NUL.
 */
struct exec_record {
	struct record_header header;
	u64 parent_start_ns;
	u32 parent_tgid;
	u32 uid;
	u32 gid;
	u32 euid;
	u32 egid;
	u32 pgid;
	u32 sid;
	u32 ns_tgid;       /* the pid in the process's own pid namespace */
	u32 pid_ns;        /* namespaces by inode number */
	u32 mnt_ns;
	u32 net_ns;
	u32 dev;           /* the executable's device, as the kernel's dev_t (major << 20 | minor) */
	u64 cgroup_id;
	u64 ino;
	u64 size;          /* bytes */
	s64 mtime_ns;      /* nanoseconds since 1970 */
	s64 ctime_ns;
	u32 mode;          /* st_mode: setuid and setgid bits included */
	u32 nlink;
	u32 argv_total;    /* bytes that argv really has, before truncation */
	u32 env_total;
	u16 path_len;
	u16 cwd_len;
	u16 argv_len;
	u16 env_len;
	char comm[16];
	char tty[16];      /* terminal's name, empty without one */
};

struct exit_record {
	struct record_header header;
	u32 exit_code;     /* as wait(2) gives it: signal in the low 7 bits, exit status in bits 8..15 */
	u32 reserved;
};

struct connect_record {
	struct record_header header;
	u64 cookie;        /* the socket's cookie; the connection's key */
	u8 address[16];    /* IPv4: the first 4 bytes */
	u16 family;        /* 2 AF_INET, 10 AF_INET6 */
	u16 port;          /* host byte order */
	u8 protocol;       /* IPPROTO_TCP 6, IPPROTO_UDP 17 */
	u8 type;           /* SOCK_STREAM 1, SOCK_DGRAM 2 */
	u16 reserved;
};

struct gpu_open_record {
	struct record_header header;
	u32 major;
	u32 minor;
	u32 access;        /* bits of BPF_DEVCG_ACC_*: mknod 1, read 2, write 4 */
	u32 role;          /* enum gpu_role */
};

struct gpu_use_record {
	struct record_header header;
	s64 result;        /* what ioctl(2) returned: 0, or a negative errno */
	u32 request;
	u32 rdev;          /* kernel dev_t of the device */
	u32 role;
	u32 reserved;
};

enum gpu_role {
	GPU_ROLE_NONE   = 0,
	GPU_ROLE_CTL    = 1, /* /dev/nvidiactl */
	GPU_ROLE_GPU    = 2, /* /dev/nvidia0.. */
	GPU_ROLE_UVM    = 3, /* /dev/nvidia-uvm */
	GPU_ROLE_KFD    = 4, /* /dev/kfd */
	GPU_ROLE_RENDER = 5, /* /dev/dri/renderD*, /dev/dri/card* */
	GPU_ROLE_ACCEL  = 6, /* /dev/accel/accel0.. */
	GPU_ROLE_CAPS   = 7, /* /dev/nvidia-caps/nvidia-cap1.. */
};

#endif
