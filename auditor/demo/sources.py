"""The texts of the files that the agent works with: an ordinary program, and stand-ins for miners that burn nothing."""

from __future__ import annotations

from typing import Final

HELLO: Final = """\
#include <stdio.h>

int main(void) {
\tputs("hello");
\treturn 0;
}
"""

NOTES: Final = """\
To reach a node behind a firewall, an operator may run ssh -R 2222:localhost:22 from it.
"""

MINER: Final = r"""
/*
 * Stands in for a miner: connects to a pool, logs in, and then waits until the pool hangs up. It computes nothing.
 * The text of its help is what a renamed miner cannot do without.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char help[] =
	"Usage: -o stratum+tcp://HOST:PORT -u WALLET\n"
	"  -o, --url           URL of the mining server (stratum+tcp://, stratum+ssl://)\n"
	"  -a, --algo          rx/0 (RandomX), cn/r (CryptoNight), ethash, kawpow\n"
	"      --donate-level  per cent of the hashrate for the authors\n"
	"Messages: login, job, submit, keepalived, mining.subscribe, mining.authorize, mining.notify, mining.submit\n"
	"randomx: dataset init, huge pages; cryptonight; speed 10s/60s/15m H/s; accepted shares\n";

static const char login[] =
	"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"%s\",\"pass\":\"x\"}}\n";

int main(int argc, char **argv)
{
	const char *url = getenv("SERVER"), *user = getenv("NAME");
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[64], line[256];
	unsigned port;
	int option, length, connection;

	while ((option = getopt(argc, argv, "o:u:k")) != -1) {
		if (option == 'o')
			url = optarg;
		else if (option == 'u')
			user = optarg;
		else if (option != 'k')
			return fputs(help, stderr), 2;
	}
	if (!url || !user)
		return fputs(help, stderr), 2;
	if (!strncmp(url, "stratum+tcp://", 14))
		url += 14;
	if (sscanf(url, "%63[^:]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return 2;
	address.sin_port = htons(port);
	connection = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)))
		return perror("connect"), 1;
	length = snprintf(line, sizeof(line), login, user);
	if (length >= (int)sizeof(line) || write(connection, line, length) != length)
		return 1;
	while (read(connection, line, sizeof(line)) > 0)
		;
	return 0;
}
"""

MINER_SCRIPT: Final = '''\
"""Stands in for a miner where there is no compiler: connects to a pool, logs in, and waits until the pool hangs up."""

import argparse
import json
import socket

parser = argparse.ArgumentParser()
parser.add_argument("-o", "--url", required=True)
parser.add_argument("-u", "--user", required=True)
parser.add_argument("-k", "--keepalive", action="store_true")
options = parser.parse_args()
host, port = options.url.removeprefix("stratum+tcp://").rsplit(":", 1)
with socket.create_connection((host, int(port))) as connection:
    login = {"id": 1, "jsonrpc": "2.0", "method": "login", "params": {"login": options.user, "pass": "x"}}
    connection.sendall(json.dumps(login).encode() + b"\\n")
    while connection.recv(4096):
        pass
'''

SSH_CONFIG: Final = """\
Host *
    IdentityFile {home}/.ssh/id
    IdentitiesOnly yes
    UserKnownHostsFile {home}/.ssh/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking no
    BatchMode yes
    ExitOnForwardFailure yes
    ConnectTimeout 10
    LogLevel ERROR
"""
