// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What every family of probes needs: reading by offset, labels, counters, the way out. The loader joins wire.h, this file
 * and the families into one text, because bcc rewrites map calls in the main text only.
 *
 * No kernel struct is named here. OFFSET_* come from the running kernel's BTF (auditor/kernel/btf.py).
 */

/* ---- limits (auditor/kernel/catalog.py gives them) ---- */

#define NO_WAKEUP    1 /* BPF_RB_NO_WAKEUP: the reader polls */
#define FORCE_WAKEUP 2 /* BPF_RB_FORCE_WAKEUP: for what cannot wait for the poll */

/* ---- reading kernel memory ---- */

#define READ(type, base, offset)                                                          \
	({                                                                                \
		type value_ = 0;                                                          \
		bpf_probe_read_kernel(&value_, sizeof(value_), (void *)((u64)(base) + (offset))); \
		value_;                                                                   \
	})

/* ---- maps ---- */

/* Whom a process is charged to. Copied at fork, removed when the process ends. */
struct label {
	u64 start_ns;
	u64 call_start_ns;
	u32 call_tgid;
	u32 session;
	u32 source;
	u32 bits; /* enum label_bit */
};

enum label_bit {
	LABEL_AGENT     = 1 << 0, /* the session's root: each child is a tool call of its own */
	LABEL_CALL_ROOT = 1 << 1,
	LABEL_GPU       = 1 << 2, /* opened a GPU device, or was forked by a process that had */
	LABEL_GPU_USED  = 1 << 3, /* its first ioctl on a GPU device was reported */
};

enum label_source {
	SOURCE_INHERITED = 3,
};

/* Counters shared with the reader through mmap. auditor/kernel/catalog.py names them in this order. */
enum gauge {
	GAUGE_TRACKED,
	GAUGE_LOST_FORK,
	GAUGE_LOST_EXEC,
	GAUGE_LOST_EXIT,
	GAUGE_LOST_CONNECT,
	GAUGE_LOST_SEND,
	GAUGE_LOST_GPU,
	GAUGE_LABEL_FULL,
	GAUGE_GPU_COUNT_FULL,
	GAUGE_GPU_INFLIGHT_FULL,
	GAUGE_LOST_CANDIDATE,
	GAUGES = 64,
};

enum setting {
	SETTING_CANDIDATES, /* show untracked execs to the selectors */
	SETTINGS = 8,
};

BPF_RINGBUF_OUTPUT(ring, RING_PAGES);
BPF_TABLE("hash", u32, struct label, labels, LABELS);
BPF_F_TABLE("array", u32, u64, gauges, GAUGES, 1024 /* BPF_F_MMAPABLE */);
BPF_ARRAY(settings, u64, SETTINGS);

/* ---- small inline helpers ---- */

static __always_inline void bump(u32 gauge, u64 by)
{
	u64 *value = gauges.lookup(&gauge);

	if (value)
		__sync_fetch_and_add(value, by);
}

static __always_inline u64 start_of(u64 task)
{
	return READ(u64, READ(u64, task, OFFSET_task_group_leader), OFFSET_task_start_boottime);
}

/* What bpf_get_current_pid_tgid() gives, for programs of a type that may not call it everywhere. */
static __always_inline u64 pid_tgid_of(u64 task)
{
	return (u64)READ(u32, task, OFFSET_task_tgid) << 32 | READ(u32, task, OFFSET_task_pid);
}

static __always_inline void fill_header_of(struct record_header *header, u16 kind, u64 start_ns,
					   const struct label *label, u64 pid_tgid)
{
	header->kind = kind;
	header->flags = (label->bits & LABEL_AGENT ? FLAG_AGENT : 0) | (label->bits & LABEL_CALL_ROOT ? FLAG_CALL_ROOT : 0);
	header->tgid = pid_tgid >> 32;
	header->time_ns = bpf_ktime_get_boot_ns();
	header->start_ns = start_ns;
	header->tid = (u32)pid_tgid;
	header->session = label->session;
	header->call_start_ns = label->call_start_ns;
	header->call_tgid = label->call_tgid;
	header->label_source = label->source;
}

static __always_inline void fill_header(struct record_header *header, u16 kind, u64 start_ns, const struct label *label)
{
	fill_header_of(header, kind, start_ns, label, bpf_get_current_pid_tgid());
}
