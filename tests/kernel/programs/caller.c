/*
 * caller DEVICE REQUESTS: two threads, each on a processor of its own, make REQUESTS different ioctls on DEVICE, both the
 * same one in the same moment.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define THREADS 2

static atomic_int arrived;
static int device, requests;

static void *run(void *number)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((long)number, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (int request = 0; request < requests; request++) {
		atomic_fetch_add(&arrived, 1);
		while (atomic_load(&arrived) < THREADS * (request + 1))
			;
		ioctl(device, 0x4600 + request);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 3)
		return 2;
	device = open(argv[1], O_RDWR);
	requests = atoi(argv[2]);
	if (device < 0 || pthread_create(&thread, NULL, run, (void *)1L))
		return 1;
	run((void *)0L);
	pthread_join(thread, NULL);
	return 0;
}
