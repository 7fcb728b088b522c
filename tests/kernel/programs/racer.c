/* racer ROUNDS: makes so many processes of two threads that end in the same moment, each on a processor of its own. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 2

static atomic_int arrived;

static void *run(void *number)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((long)number, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < THREADS)
		;
	syscall(SYS_exit, 0); /* this thread alone */
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int status;

	for (int left = argc > 1 ? atoi(argv[1]) : 0; left > 0; left--) {
		pid_t child = fork();

		if (child == 0) {
			if (pthread_create(&thread, NULL, run, (void *)1L))
				_exit(2);
			run((void *)0L);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status)
			return 1;
	}
	return 0;
}
