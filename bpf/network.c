// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connections, by programs at the root of the cgroup v2 tree.
 *
 *   connect(2), io_uring's connect -> inet_stream_connect() / inet_dgram_connect() -> BPF_CGROUP_PRE_CONNECT_ENABLED() ->
 *               tcp_v4_pre_connect(), ip4_datagram's, ... -> cgroup/connect4: the address is the kernel's own copy
 *   sendto(2), sendmsg(2) on an unconnected UDP socket -> udp_sendmsg() -> cgroup/sendmsg4
 *
 * Each returns 1: allowed.
 */

/* The datagram socket and address that were reported last, so that a stream of datagrams is one record. */
struct peer {
	u64 cookie;
	u8 address[16];
	u32 port;
	u32 tgid;
};

BPF_TABLE("lru_hash", struct peer, u8, peers, PEERS);

static __always_inline struct label *current_label(void)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return labels.lookup(&tgid);
}

static __always_inline void emit_connect(struct bpf_sock_addr *ctx, const struct label *label, u16 kind, u16 family, const u32 *address)
{
	struct connect_record *record = ring.ringbuf_reserve(sizeof(*record));

	if (!record) {
		bump(kind == KIND_CONNECT ? GAUGE_LOST_CONNECT : GAUGE_LOST_SEND, 1);
		return;
	}
	u32 *to = (u32 *)record->address;

	fill_header(&record->header, kind, label->start_ns, label);
	record->cookie = bpf_get_socket_cookie(ctx);
	to[0] = address[0];
	to[1] = address[1];
	to[2] = address[2];
	to[3] = address[3];
	record->family = family;
	record->port = bpf_ntohs(ctx->user_port);
	record->protocol = ctx->protocol;
	record->type = ctx->type;
	record->reserved = 0;
	ring.ringbuf_submit(record, NO_WAKEUP);
}

/* True the first time that this socket sends to this address. */
static __always_inline bool is_new_peer(struct bpf_sock_addr *ctx, const u32 *address)
{
	struct peer peer = {};
	u32 *to = (u32 *)peer.address;
	u8 seen = 1;

	peer.cookie = bpf_get_socket_cookie(ctx);
	to[0] = address[0];
	to[1] = address[1];
	to[2] = address[2];
	to[3] = address[3];
	peer.port = ctx->user_port;
	peer.tgid = bpf_get_current_pid_tgid() >> 32;
	if (peers.lookup(&peer))
		return false;
	peers.update(&peer, &seen);
	return true;
}

/* ---- probes ---- */

int on_connect4(struct bpf_sock_addr *ctx)
{
	struct label *label = current_label();

	if (label) {
		u32 address[4] = {ctx->user_ip4, 0, 0, 0};

		emit_connect(ctx, label, KIND_CONNECT, 2, address);
	}
	return 1;
}

int on_connect6(struct bpf_sock_addr *ctx)
{
	struct label *label = current_label();

	if (label) {
		u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

		emit_connect(ctx, label, KIND_CONNECT, 10, address);
	}
	return 1;
}

int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct label *label = current_label();

	if (label) {
		u32 address[4] = {ctx->user_ip4, 0, 0, 0};

		if (is_new_peer(ctx, address))
			emit_connect(ctx, label, KIND_SEND, 2, address);
	}
	return 1;
}

int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct label *label = current_label();

	if (label) {
		u32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

		if (is_new_peer(ctx, address))
			emit_connect(ctx, label, KIND_SEND, 10, address);
	}
	return 1;
}
