/* offender ADDRESS PORT PROGRAM ARG...: a vfork child connects to ADDRESS:PORT and runs PROGRAM with ARG... as its argv. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int status, sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc < 5 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || sock < 0)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[2]));

	pid_t child = vfork();

	if (child == 0) {
		if (connect(sock, (struct sockaddr *)&to, sizeof(to)))
			_exit(3);
		execve(argv[3], argv + 4, NULL);
		_exit(4);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 5;
	return status ? 6 : 0;
}
