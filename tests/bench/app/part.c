/* One of the files that scripts/bench has built. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN(a, b) a##b
#define NAME(part) JOIN(part_, part)

int NAME(PART)(int count)
{
	char *text = calloc(count + 1, 1);
	size_t length = 0;

	for (int i = 0; text && i < count; i++)
		text[i] = 'a' + i % 26;
	if (text)
		length = strlen(text);
	free(text);
	return (int)length;
}

#if PART == 1
int part_2(int), part_3(int), part_4(int);

int main(void)
{
	return printf("%d\n", part_1(1) + part_2(2) + part_3(3) + part_4(4)) < 0;
}
#endif
