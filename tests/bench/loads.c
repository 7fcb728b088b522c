/*
 * The loads of scripts/bench, and what they are started with. Every load prints one line of JSON when it is done:
 * operations made, CPU time of its own and of the children it waited for, and time by the clock, in nanoseconds.
 *
 *   loads leash [-c CPU] [-n] -- PROGRAM ...   become PROGRAM: dies with its parent, on one CPU, in a network of its own
 *   loads loop WHAT SECONDS MOST               getppid, ioctl, udp or tcp, as fast as it goes, and no more than MOST
 *   loads repeat SECONDS -- PROGRAM ...        fork, execve, wait
 *   loads pace WHAT RATE SECONDS SETTLE PATH   so many a second: spawn (of PATH), udp, ioctl (on PATH); SETTLE seconds
 *                                              after opening what it needs
 *   loads offend COUNT MIN_MS MAX_MS PATH ...  once a byte has come on stdin: start the PATHs in turn as a miner is
 *                                              started, each told the time at which it was (CLOCK_BOOTTIME)
 *   loads nothing                              exit
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define MILLISECOND 1000000ull
#define CLOSED_PORT 9	       /* discard: nothing listens in a network of one's own */
#define REQUEST 0x5b0e	       /* an ioctl that neither /dev/null nor /dev/full knows */
#define BETWEEN_LOOKS 64       /* operations between two looks at the clock */
#define UNREAPED 64	       /* children that pace lets run at a time */

extern char **environ;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static void rest(uint64_t ns)
{
	struct timespec length = {ns / SECOND, ns % SECOND};

	nanosleep(&length, NULL);
}

static uint64_t usage_ns(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ull;
}

static uint64_t cpu_ns(void)
{
	return usage_ns(RUSAGE_SELF) + usage_ns(RUSAGE_CHILDREN);
}

/* ---- what is measured ---- */

struct meter {
	uint64_t wall;
	uint64_t cpu;
};

static struct meter begin(void)
{
	struct meter meter = {.cpu = cpu_ns()};

	meter.wall = clock_ns(CLOCK_MONOTONIC);
	return meter;
}

static int tell(const struct meter *meter, uint64_t ops)
{
	uint64_t wall = clock_ns(CLOCK_MONOTONIC) - meter->wall;

	printf("{\"ops\":%llu,\"cpu_ns\":%llu,\"wall_ns\":%llu}\n", (unsigned long long)ops,
	       (unsigned long long)(cpu_ns() - meter->cpu), (unsigned long long)wall);
	return 0;
}

/* ---- operations ---- */

struct target {
	int fd;
	const char *path;
	uint64_t running;
};

static struct sockaddr_in closed_port(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(CLOSED_PORT)};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

static void do_getppid(struct target *target)
{
	(void)target;
	syscall(SYS_getppid); /* not through libc, which might remember */
}

static void do_ioctl(struct target *target)
{
	ioctl(target->fd, REQUEST, 0);
}

static void do_udp(struct target *target)
{
	struct sockaddr_in to = closed_port();

	connect(target->fd, (struct sockaddr *)&to, sizeof(to));
}

static void do_tcp(struct target *target)
{
	struct sockaddr_in to = closed_port();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)target;
	if (fd < 0)
		die("socket");
	connect(fd, (struct sockaddr *)&to, sizeof(to));
	close(fd);
}

static pid_t start(char *const *argv)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		execve(argv[0], argv, environ);
		_exit(127);
	}
	return pid;
}

static void reap(struct target *target, int options)
{
	int status;

	while (target->running && waitpid(-1, &status, options) > 0) {
		target->running--;
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 127) {
			fprintf(stderr, "cannot run %s\n", target->path);
			exit(1);
		}
		if (options == 0)
			return;
	}
}

static void do_spawn(struct target *target)
{
	char *const argv[] = {(char *)target->path, "nothing", NULL};

	start(argv);
	target->running++;
	reap(target, target->running < UNREAPED ? WNOHANG : 0);
}

typedef void operation(struct target *target);

static operation *find_operation(const char *name)
{
	static const struct {
		const char *name;
		operation *function;
	} known[] = {
		{"getppid", do_getppid}, {"ioctl", do_ioctl}, {"udp", do_udp}, {"tcp", do_tcp}, {"spawn", do_spawn},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].function;
	fprintf(stderr, "loads: %s: no such operation\n", name);
	exit(2);
}

static struct target open_target(const char *name, const char *path)
{
	struct target target = {.fd = -1, .path = path};

	if (!strcmp(name, "ioctl"))
		target.fd = open(path, O_RDWR | O_CLOEXEC);
	else if (!strcmp(name, "udp"))
		target.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	else
		return target;
	if (target.fd < 0)
		die(name);
	return target;
}

/* ---- loads ---- */

static int loop(const char *name, double seconds, uint64_t most)
{
	operation *operate = find_operation(name);
	struct target target = open_target(name, "/dev/null");
	struct meter meter;
	uint64_t ops = 0, end;

	operate(&target); /* the first one finds cold caches */
	meter = begin();
	end = meter.wall + (uint64_t)(seconds * SECOND);
	do {
		for (int i = 0; i < BETWEEN_LOOKS; i++)
			operate(&target);
		ops += BETWEEN_LOOKS;
	} while (ops < most && clock_ns(CLOCK_MONOTONIC) < end);
	return tell(&meter, ops);
}

static int repeat(double seconds, char *const *argv)
{
	struct target target = {.fd = -1, .path = argv[0]};
	struct meter meter;
	uint64_t ops = 0, end;

	start(argv);
	target.running = 1;
	reap(&target, 0);
	meter = begin();
	end = meter.wall + (uint64_t)(seconds * SECOND);
	do {
		start(argv);
		target.running = 1;
		reap(&target, 0);
		ops++;
	} while (clock_ns(CLOCK_MONOTONIC) < end);
	return tell(&meter, ops);
}

static int pace(const char *name, double rate, double seconds, double settle, const char *path)
{
	operation *operate = find_operation(name);
	struct target target = open_target(name, path);
	uint64_t total = (uint64_t)(rate * seconds), ops = 0;
	struct meter meter;

	rest((uint64_t)(settle * SECOND));
	meter = begin();
	while (ops < total) {
		uint64_t due = (uint64_t)((clock_ns(CLOCK_MONOTONIC) - meter.wall) * rate / SECOND) + 1;

		for (; ops < due && ops < total; ops++)
			operate(&target);
		rest(MILLISECOND);
	}
	while (target.running)
		reap(&target, 0);
	return tell(&meter, ops);
}

static int offend(int count, int min_ms, int max_ms, char *const *paths)
{
	int known = 0;
	char byte;

	while (paths[known])
		known++;
	if (read(0, &byte, 1) != 1)
		return 1;
	for (int i = 0; i < count; i++) {
		const char *path = paths[i % known];
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			char stamp[64];
			char *const argv[] = {(char *)path, "-o", "stratum+tcp://203.0.113.66:3333", "-u", "bench", stamp, NULL};

			snprintf(stamp, sizeof(stamp), "--rig-id=%llu", (unsigned long long)clock_ns(CLOCK_BOOTTIME));
			execve(path, argv, environ);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
		rest((min_ms + rand() % (max_ms - min_ms + 1)) * MILLISECOND); /* always the same sequence */
	}
	while (read(0, &byte, 1) > 0) /* an agent outlives its tool calls */
		;
	return 0;
}

/* ---- the leash ---- */

static void own_network(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		die("lo");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("lo");
	close(fd);
}

static int leash(int argc, char **argv)
{
	int option;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setsid(); /* Ctrl-C is for the bench, which then ends everything in order */
	while ((option = getopt(argc, argv, "+c:n")) != -1) {
		if (option == 'c') {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(atoi(optarg), &set);
			if (sched_setaffinity(0, sizeof(set), &set))
				die("sched_setaffinity");
		} else if (option == 'n') {
			own_network();
		} else {
			return 2;
		}
	}
	if (optind >= argc)
		return 2;
	execvp(argv[optind], argv + optind);
	die(argv[optind]);
	return 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "nothing"))
		return 0;
	if (!strcmp(what, "leash"))
		return leash(argc - 1, argv + 1);
	if (!strcmp(what, "loop") && argc == 5)
		return loop(argv[2], atof(argv[3]), strtoull(argv[4], NULL, 10));
	if (!strcmp(what, "repeat") && argc > 4)
		return repeat(atof(argv[2]), argv + 4);
	if (!strcmp(what, "pace") && argc == 7)
		return pace(argv[2], atof(argv[3]), atof(argv[4]), atof(argv[5]), argv[6]);
	if (!strcmp(what, "offend") && argc > 5)
		return offend(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv + 5);
	fprintf(stderr, "loads: see the top of loads.c\n");
	return 2;
}
