// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * GPU devices: opens by a cgroup device program, which costs an unrelated syscall nothing; ioctls by syscall tracepoints,
 * which cost every syscall on the host something and are therefore attached only while a tracked process holds a GPU.
 *
 * A device is known by its number (inode->i_rdev), never by a path, so that a node made anywhere is seen.
 */

#define ANY_MINOR 0xfffff
#define DEVICE_CHAR 2 /* BPF_DEVCG_DEV_CHAR */

struct device {
	u32 rdev;
	u32 role;
};

/* What is counted between two summaries. */
struct gpu_count_key {
	u32 tgid;
	u32 rdev;
	u32 request;
	u32 role;
};

struct gpu_count {
	u64 count;
	u64 errors;
	u64 start_ns;
	u64 call_start_ns;
	u32 call_tgid;
	u32 session;
	u32 source;
	u32 reserved;
};

struct gpu_inflight {
	u32 rdev;
	u32 role;
	u32 request;
	u32 reserved;
};

/* As the tracepoints' format files say; the same on every 64-bit kernel. */
struct sys_enter_args {
	u64 common;
	u64 nr;
	u64 args[6];
};

struct sys_exit_args {
	u64 common;
	u64 nr;
	s64 ret;
};

BPF_TABLE("hash", u32, u32, gpu_devices, 4096);
BPF_TABLE("hash", u64, struct gpu_inflight, gpu_inflight, 16384);
BPF_TABLE("hash", struct gpu_count_key, struct gpu_count, gpu_counts, GPU_COUNTS);

static __always_inline u32 role_of(u32 rdev)
{
	u32 *role = gpu_devices.lookup(&rdev);

	if (role)
		return *role;
	rdev |= ANY_MINOR;
	role = gpu_devices.lookup(&rdev);
	return role ? *role : GPU_ROLE_NONE;
}

/* What current's descriptor `fd` is, by its device number: task->files->fdt->fd[fd]->f_inode->i_rdev. */
static __always_inline u32 rdev_of(u32 fd)
{
	u64 files = READ(u64, bpf_get_current_task(), OFFSET_task_files);
	u64 table = READ(u64, files, OFFSET_files_fdt);

	if (fd >= READ(u32, table, OFFSET_fdtable_max_fds))
		return 0;
	u64 file = READ(u64, READ(u64, table, OFFSET_fdtable_fd), (u64)fd * 8);

	return READ(u32, READ(u64, file, OFFSET_file_f_inode), OFFSET_inode_i_rdev);
}

/* What is counted under a key, from nothing where it is new; NULL where the table is full. */
static __always_inline struct gpu_count *count_of(struct gpu_count_key *key, const struct label *label)
{
	struct gpu_count *count = gpu_counts.lookup(key);

	if (count)
		return count;
	struct gpu_count nothing = {
		.start_ns = label->start_ns,
		.call_start_ns = label->call_start_ns,
		.call_tgid = label->call_tgid,
		.session = label->session,
		.source = label->source,
	};

	/* Refused where another CPU was faster: what that one counted stays. */
	gpu_counts.insert(key, &nothing);
	return gpu_counts.lookup(key);
}

/* ---- probes ---- */

int on_device(struct bpf_cgroup_dev_ctx *ctx)
{
	if ((ctx->access_type & 0xffff) != DEVICE_CHAR)
		return 1;
	u32 role = role_of(ctx->major << 20 | ctx->minor);

	if (!role)
		return 1;
	/* 5.10 lets no device program call bpf_get_current_pid_tgid(), but any program read the task. */
	u64 pid_tgid = pid_tgid_of(bpf_get_current_task());
	u32 tgid = pid_tgid >> 32;
	struct label *label = labels.lookup(&tgid);

	if (!label)
		return 1;
	label->bits |= LABEL_GPU;

	struct gpu_open_record *record = ring.ringbuf_reserve(sizeof(*record));

	if (!record) {
		bump(GAUGE_LOST_GPU, 1);
		return 1;
	}
	fill_header_of(&record->header, KIND_GPU_OPEN, label->start_ns, label, pid_tgid);
	record->major = ctx->major;
	record->minor = ctx->minor;
	record->access = ctx->access_type >> 16;
	record->role = role;
	ring.ringbuf_submit(record, FORCE_WAKEUP); /* the reader attaches the probes below */
	return 1;
}

int on_ioctl_enter(struct sys_enter_args *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();
	u32 tgid = pid_tgid >> 32;

	if (!labels.lookup(&tgid))
		return 0;
	struct gpu_inflight inflight = {};

	inflight.rdev = rdev_of((u32)ctx->args[0]);
	inflight.role = inflight.rdev ? role_of(inflight.rdev) : GPU_ROLE_NONE;
	if (!inflight.role) {
		/* What an ioctl left here that ended while nobody watched must not be taken for this one. */
		gpu_inflight.delete(&pid_tgid);
		return 0;
	}
	inflight.request = (u32)ctx->args[1]; /* the kernel ignores the upper half */
	if (gpu_inflight.update(&pid_tgid, &inflight))
		bump(GAUGE_GPU_INFLIGHT_FULL, 1);
	return 0;
}

int on_ioctl_exit(struct sys_exit_args *ctx)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();
	struct gpu_inflight *inflight = gpu_inflight.lookup(&pid_tgid);

	if (!inflight)
		return 0;
	struct gpu_count_key key = {
		.tgid = pid_tgid >> 32,
		.rdev = inflight->rdev,
		.request = inflight->request,
		.role = inflight->role,
	};
	struct label *label = labels.lookup(&key.tgid);

	gpu_inflight.delete(&pid_tgid);
	if (!label)
		return 0;
	struct gpu_count *count = count_of(&key, label);

	if (count) {
		__sync_fetch_and_add(&count->count, 1);
		if (ctx->ret < 0)
			__sync_fetch_and_add(&count->errors, 1);
	} else {
		bump(GAUGE_GPU_COUNT_FULL, 1);
	}
	if (label->bits & LABEL_GPU_USED)
		return 0;
	label->bits |= LABEL_GPU_USED;

	struct gpu_use_record *record = ring.ringbuf_reserve(sizeof(*record));

	if (!record) {
		bump(GAUGE_LOST_GPU, 1);
		return 0;
	}
	fill_header(&record->header, KIND_GPU_USE, label->start_ns, label);
	record->result = ctx->ret;
	record->request = key.request;
	record->rdev = key.rdev;
	record->role = key.role;
	record->reserved = 0;
	ring.ringbuf_submit(record, NO_WAKEUP);
	return 0;
}
