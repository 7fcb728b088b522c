// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Processes: fork, exec, exit, by raw tracepoints of the scheduler.
 *
 *   clone(2) -> kernel_clone() -> copy_process() -> trace_sched_process_fork(current, child): before the child first runs,
 *               so that its label is there before its first instruction
 *   execve(2) -> bprm_execve() -> trace_sched_process_exec(current, old_pid, bprm): after the point of no return, the new
 *               mm in place and its argument pages just written, so that reading them cannot be raced
 *   do_exit() -> trace_sched_process_exit(current, ...): after signal->live went down
 */

#define PATH_MAX_BYTES  2048
#define PATH_MAX_DEPTH  48
#define NAME_MAX_BYTES  256
#define BLOB_MAX_BYTES  4096 /* argv and environment, each */
#define OFFSET_MASK    0x3fff /* the next power of two above what a record can hold (two paths, two blobs), less one */

#define SIGNAL_GROUP_EXIT 4          /* include/linux/sched/signal.h */
#define NSEC_MASK         0x3fffffff /* since 6.13 the kernel keeps a mark (I_CTIME_QUERIED) in the top bit of i_ctime_nsec */

enum pid_type { TYPE_PGID = 2, TYPE_SID = 3 }; /* enum pid_type, include/linux/pid_types.h */

struct exec_scratch {
	struct exec_record record;
	u8 blob[OFFSET_MASK + 1 + BLOB_MAX_BYTES]; /* as far as the verifier thinks that writes may go */
	/*
	 * How much of the blob is written. It lives in memory, like the record's flags, so that the verifier forgets what it
	 * knew: with exact values in registers every turn of the loops below would be a state of its own.
	 */
	u32 length;
};

BPF_PERCPU_ARRAY(exec_scratch, struct exec_scratch, 1);

/* An executable file as it was when it was seen. */
struct file_key {
	u64 ino;
	s64 ctime_ns;
	u32 dev;
	u32 reserved;
};

/* Files executed lately. One that is not here wakes the reader, which opens it before the process may be gone. */
BPF_TABLE("lru_hash", struct file_key, u8, known_files, KNOWN_FILES);

/* Keeps the compiler from reasoning a bound away that the verifier needs to see. */
#define BOUND(value, mask)  BOUND_(value, mask)
#define BOUND_(value, mask) asm volatile("%0 &= " #mask : "+r"(value))

/* The name of an anonymous memory file starts so (mm/memfd.c); so may that of a file on disk, which lies in a directory. */
static __always_inline bool is_memfd(const u8 *name)
{
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

/*
 * Appends the components of a path, from its leaf up to the root of its mount namespace. Mounts are crossed as
 * prepend_path() in fs/d_path.c does.
 */
static __always_inline void append_path(struct exec_scratch *scratch, u64 path)
{
	u64 vfsmount = READ(u64, path, OFFSET_path_mnt);
	u64 dentry = READ(u64, path, OFFSET_path_dentry);
	u32 from = scratch->length;

	for (int depth = 0; depth < PATH_MAX_DEPTH; depth++) {
		u64 mount = vfsmount - OFFSET_mount_mnt;

		if (dentry == READ(u64, vfsmount, OFFSET_vfsmount_mnt_root)) {
			u64 above = READ(u64, mount, OFFSET_mount_mnt_parent);

			if (above == mount)
				return;
			dentry = READ(u64, mount, OFFSET_mount_mnt_mountpoint);
			vfsmount = above + OFFSET_mount_mnt;
			continue;
		}
		u64 parent = READ(u64, dentry, OFFSET_dentry_d_parent);
		u32 to = scratch->length;

		if (to - from > PATH_MAX_BYTES - NAME_MAX_BYTES)
			break;
		BOUND(to, 0xfff);
		u64 name = READ(u64, dentry, OFFSET_dentry_d_name + OFFSET_qstr_name);
		int wrote = bpf_probe_read_kernel_str(&scratch->blob[to], NAME_MAX_BYTES, (void *)name);

		if (wrote <= 0)
			break;
		scratch->length = to + wrote;
		if (dentry == parent) { /* nothing above it, and mounted nowhere */
			if (to == 0 && is_memfd(scratch->blob))
				scratch->record.header.flags |= FLAG_MEMFD;
			return;
		}
		dentry = parent;
	}
	scratch->record.header.flags |= FLAG_PATH_TRUNCATED;
}

/* Appends at most BLOB_MAX_BYTES of user memory. */
static __always_inline void append_user(struct exec_scratch *scratch, u64 from, u32 total, u16 truncated)
{
	u32 length = total;
	u32 to = scratch->length;

	if (length > BLOB_MAX_BYTES) {
		length = BLOB_MAX_BYTES;
		scratch->record.header.flags |= truncated;
	}
	BOUND(to, OFFSET_MASK);
	BOUND(length, 0x1fff);
	if (length > BLOB_MAX_BYTES || length == 0)
		return;
	if (bpf_probe_read_user(&scratch->blob[to], length, (void *)from))
		scratch->record.header.flags |= FLAG_UNREADABLE;
	else
		scratch->length = to + length;
}

static __always_inline u32 number_of(u64 pid, u32 level)
{
	return READ(u32, pid, OFFSET_pid_numbers + level * SIZE_upid + OFFSET_upid_nr);
}

static __always_inline void fill_identity(struct exec_record *record, u64 task)
{
	u64 signal = READ(u64, task, OFFSET_task_signal);
	u64 cred = READ(u64, task, OFFSET_task_cred);
	u64 nsproxy = READ(u64, task, OFFSET_task_nsproxy);
	u64 pid = READ(u64, task, OFFSET_task_thread_pid);
	u64 parent = READ(u64, task, OFFSET_task_real_parent);
	u64 tty = READ(u64, signal, OFFSET_signal_tty);
	u32 level = READ(u32, pid, OFFSET_pid_level) & 31; /* MAX_PID_NS_LEVEL is 32 */
	u64 pid_ns = READ(u64, pid, OFFSET_pid_numbers + level * SIZE_upid + OFFSET_upid_ns);

	record->parent_tgid = READ(u32, parent, OFFSET_task_tgid);
	record->parent_start_ns = start_of(parent);
	record->uid = READ(u32, cred, OFFSET_cred_uid);
	record->gid = READ(u32, cred, OFFSET_cred_gid);
	record->euid = READ(u32, cred, OFFSET_cred_euid);
	record->egid = READ(u32, cred, OFFSET_cred_egid);
	record->pgid = number_of(READ(u64, signal, OFFSET_signal_pids + TYPE_PGID * 8), 0);
	record->sid = number_of(READ(u64, signal, OFFSET_signal_pids + TYPE_SID * 8), 0);
	record->ns_tgid = number_of(pid, level);
	record->pid_ns = READ(u32, pid_ns, OFFSET_pid_namespace_ns + OFFSET_ns_inum);
	record->mnt_ns = READ(u32, READ(u64, nsproxy, OFFSET_nsproxy_mnt_ns), OFFSET_mnt_namespace_ns + OFFSET_ns_inum);
	record->net_ns = READ(u32, READ(u64, nsproxy, OFFSET_nsproxy_net_ns), OFFSET_net_ns + OFFSET_ns_inum);
	record->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	__builtin_memset(record->tty, 0, sizeof(record->tty));
	if (tty)
		bpf_probe_read_kernel_str(record->tty, sizeof(record->tty), (void *)(tty + OFFSET_tty_name));
}

static __always_inline void fill_file(struct exec_record *record, u64 file)
{
	u64 inode = READ(u64, file, OFFSET_file_f_inode);

	record->dev = READ(u32, READ(u64, inode, OFFSET_inode_i_sb), OFFSET_super_block_s_dev);
	record->ino = READ(u64, inode, OFFSET_inode_i_ino);
	record->size = READ(u64, inode, OFFSET_inode_i_size);
	record->mode = READ(u16, inode, OFFSET_inode_i_mode);
	record->nlink = READ(u32, inode, OFFSET_inode_i_nlink);
	record->mtime_ns = READ(s64, inode, OFFSET_inode_mtime_sec) * 1000000000LL + READ(u32, inode, OFFSET_inode_mtime_nsec);
	record->ctime_ns = READ(s64, inode, OFFSET_inode_ctime_sec) * 1000000000LL +
			   (READ(u32, inode, OFFSET_inode_ctime_nsec) & NSEC_MASK);
	if (record->nlink == 0)
		record->header.flags |= FLAG_DELETED;
}

static __always_inline bool is_new_file(const struct exec_record *record)
{
	struct file_key key = {.ino = record->ino, .ctime_ns = record->ctime_ns, .dev = record->dev};
	u8 seen = 1;

	if (known_files.lookup(&key))
		return false;
	known_files.update(&key, &seen);
	return true;
}

static __always_inline void emit_exec(u64 task, u64 bprm, u16 kind, const struct label *label, u64 start_ns)
{
	u32 zero = 0;
	struct exec_scratch *scratch = exec_scratch.lookup(&zero);

	if (!scratch)
		return;
	struct exec_record *record = &scratch->record;
	u64 file = READ(u64, bprm, OFFSET_bprm_file);
	u64 mm = READ(u64, task, OFFSET_task_mm);
	u64 arg_start = READ(u64, mm, OFFSET_mm_arg_start);
	u64 env_start = READ(u64, mm, OFFSET_mm_env_start);

	fill_header(&record->header, kind, start_ns, label);
	fill_identity(record, task);
	fill_file(record, file);
	record->argv_total = READ(u64, mm, OFFSET_mm_arg_end) - arg_start;
	record->env_total = READ(u64, mm, OFFSET_mm_env_end) - env_start;

	scratch->length = 0;
	append_path(scratch, file + OFFSET_file_f_path);
	record->path_len = scratch->length;
	append_path(scratch, READ(u64, task, OFFSET_task_fs) + OFFSET_fs_pwd);
	record->cwd_len = scratch->length - record->path_len;
	u32 at = scratch->length;

	append_user(scratch, arg_start, record->argv_total, FLAG_ARGV_TRUNCATED);
	record->argv_len = scratch->length - at;
	at = scratch->length;
	append_user(scratch, env_start, record->env_total, FLAG_ENV_TRUNCATED);
	record->env_len = scratch->length - at;

	u32 size = scratch->length;

	BOUND(size, OFFSET_MASK);
	u64 wakeup = kind == KIND_EXEC && is_new_file(record) ? FORCE_WAKEUP : NO_WAKEUP;

	if (ring.ringbuf_output(scratch, sizeof(*record) + size, wakeup))
		bump(kind == KIND_EXEC ? GAUGE_LOST_EXEC : GAUGE_LOST_CANDIDATE, 1);
}

/* ---- probes ---- */

int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	u32 parent_tgid = bpf_get_current_pid_tgid() >> 32;
	struct label *parent_label = labels.lookup(&parent_tgid);

	if (!parent_label)
		return 0;
	u64 parent = ctx->args[0];
	u64 child = ctx->args[1];
	u32 tgid = READ(u32, child, OFFSET_task_tgid);
	u32 tid = READ(u32, child, OFFSET_task_pid);

	if (tgid != tid) /* a thread is charged with its process */
		return 0;

	struct label label = *parent_label;

	label.start_ns = READ(u64, child, OFFSET_task_start_boottime);
	label.source = SOURCE_INHERITED;
	label.bits &= LABEL_GPU;
	if (parent_label->bits & LABEL_AGENT) {
		label.call_tgid = tgid;
		label.call_start_ns = label.start_ns;
		label.bits |= LABEL_CALL_ROOT;
	}
	if (labels.update(&tgid, &label))
		bump(GAUGE_LABEL_FULL, 1);
	else
		bump(GAUGE_TRACKED, 1);

	struct fork_record *record = ring.ringbuf_reserve(sizeof(*record));

	if (!record) {
		bump(GAUGE_LOST_FORK, 1);
		return 0;
	}
	fill_header(&record->header, KIND_FORK, label.start_ns, &label);
	record->header.tgid = tgid;
	record->header.tid = tid;
	record->parent_start_ns = start_of(parent);
	record->parent_tgid = parent_tgid;
	record->parent_tid = READ(u32, parent, OFFSET_task_pid);
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	ring.ringbuf_submit(record, NO_WAKEUP);
	return 0;
}

int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct label *label = labels.lookup(&tgid);
	struct label untracked = {};
	u64 task = ctx->args[0];
	u16 kind = KIND_EXEC;

	if (!label) {
		u32 setting = SETTING_CANDIDATES;
		u64 *wanted = settings.lookup(&setting);

		if (!wanted || !*wanted)
			return 0;
		kind = KIND_CANDIDATE;
	}

	u64 start_ns = start_of(task);

	/* A label that user space gave knows the start only to a clock tick. */
	if (label && label->start_ns != start_ns) {
		label->start_ns = start_ns;
		if (label->bits & LABEL_CALL_ROOT)
			label->call_start_ns = start_ns;
	}
	emit_exec(task, ctx->args[2], kind, label ? label : &untracked, start_ns);
	return 0;
}

int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct label *label = labels.lookup(&tgid);

	if (!label)
		return 0;
	u64 task = ctx->args[0];
	u64 signal = READ(u64, task, OFFSET_task_signal);

	if (READ(u32, signal, OFFSET_signal_live) != 0) /* threads of it go on */
		return 0;

	/* Two threads ending at once on two CPUs both come here last: the one that removes the label tells. */
	struct label last = *label;

	if (labels.delete(&tgid))
		return 0;
	bump(GAUGE_TRACKED, -1);

	struct exit_record *record = ring.ringbuf_reserve(sizeof(*record));

	if (!record) {
		bump(GAUGE_LOST_EXIT, 1);
		return 0;
	}
	u64 leader = READ(u64, task, OFFSET_task_group_leader);
	bool group = READ(u32, signal, OFFSET_signal_flags) & SIGNAL_GROUP_EXIT;

	fill_header(&record->header, KIND_EXIT, READ(u64, leader, OFFSET_task_start_boottime), &last);
	record->exit_code = group ? READ(u32, signal, OFFSET_signal_group_exit_code) : READ(u32, leader, OFFSET_task_exit_code);
	record->reserved = 0;
	ring.ringbuf_submit(record, NO_WAKEUP);
	return 0;
}
