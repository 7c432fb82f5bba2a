// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * tangle-user: the tasks of a scene that have to be user processes.
 *
 *   tangle-user mmap SCENE STEP...  a process whose mmap_lock one thread holds for reading while it
 *                                   plays the other steps; writers, a page fault and readers of
 *                                   its /proc files queue up behind
 *   tangle-user futex SCENE         a plain and a priority-inheriting pthread mutex
 *   tangle-user crowd PROCESSES THREADS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };
static const char *scene;

/* Each caller has its own open file: writes to a shared one queue up behind a blocked one. */
static void tangle(const char *format, ...)
{
	char line[256];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	int file = open("/proc/tangle", O_WRONLY);
	if (file < 0 || write(file, line, length) != length)
		perror(line);
	close(file);
}

static void name(const char *text)
{
	prctl(PR_SET_NAME, text);
}

static void wait_ms(int ms)
{
	usleep(ms * 1000);
}

static void rest(void)
{
	for (;;)
		pause();
}

static void spawn(void *(*run)(void *), void *argument)
{
	pthread_attr_t small;
	pthread_t thread;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 * 1024);
	if (pthread_create(&thread, &small, run, argument))
		perror("pthread_create");
}

/* ---- mmap */

static char *area, *unmapped;

static void *hold(void *steps)
{
	cpu_set_t last;
	CPU_ZERO(&last);
	CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 2, &last);
	sched_setaffinity(0, sizeof last, &last);
	name("mm-holder");
	wait_ms(300);
	tangle("here %s mm-holder mmap_lock:r > %s", scene, (char *)steps);
	return NULL;
}

static void *protect(void *unused)
{
	name("mm-protect");
	wait_ms(1000);
	tangle("say %s mm-protect waiting mmap_lock write %x", scene, getpid());
	mprotect(area, PAGE, PROT_READ);
	return NULL;
}

static void *map(void *unused)
{
	name("mm-map");
	wait_ms(1300);
	tangle("say %s mm-map waiting mmap_lock write %x", scene, getpid());
	mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return NULL;
}

static void *fault(void *unused)
{
	struct utsname name_of;
	int major = 0, minor = 0;
	uname(&name_of);
	sscanf(name_of.release, "%d.%d", &major, &minor);
	name("mm-fault");
	wait_ms(1600);
	if (major * 100 + minor >= 604)	/* a fault takes the lock of its VMA only */
		rest();
	tangle("say %s mm-fault waiting mmap_lock read %x", scene, getpid());
	*(volatile char *)unmapped = 1;
	return NULL;
}

static void peek(int pid, const char *what)
{
	char path[64], text[64];
	name("ps");
	snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
	int file = open(path, O_RDONLY);
	tangle("say %s ps waiting mmap_lock read %x", scene, pid);
	if (read(file, text, sizeof text) >= 0)
		fprintf(stderr, "TANGLE-ERROR %s was readable\n", path);
	rest();
}

static void run_mmap(char *steps)
{
	name("mm-main");
	int self = getpid();
	for (int i = 0; i < 2; i++)
		if (!fork()) {
			wait_ms(2000 + 300 * i);
			peek(self, i ? "environ" : "cmdline");
		}
	area = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unmapped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	spawn(hold, steps);
	spawn(protect, NULL);
	spawn(map, NULL);
	spawn(fault, NULL);
	mlockall(MCL_CURRENT);		/* the threads' own pages must not fault later on */
	munlock(unmapped, PAGE);
	madvise(unmapped, PAGE, MADV_DONTNEED);
	rest();
}

/* ---- futex */

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, inherit;
static const struct { const char *role, *kind; pthread_mutex_t *mutex; } callers[] = {
	{ "fx-holder", "futex", &plain }, { "fx-first", "futex", &plain }, { "fx-second", "futex", &plain },
	{ "pi-holder", "futex_pi", &inherit }, { "pi-first", "futex_pi", &inherit },
	{ "pi-second", "futex_pi", &inherit },
};

static void *call(void *number)
{
	int i = (int)(long)number;
	name(callers[i].role);
	wait_ms(300 * (i % 3));
	const char *rel = i % 3 ? "waiting" : "held";
	tangle("say %s %s %s %s excl %lx", scene, callers[i].role, rel, callers[i].kind, (long)callers[i].mutex);
	pthread_mutex_lock(callers[i].mutex);
	rest();
	return NULL;
}

static void run_futex(void)
{
	pthread_mutexattr_t attributes;
	name("fx-main");
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&inherit, &attributes);
	for (long i = 0; i < 6; i++)
		spawn(call, (void *)i);
	rest();
}

/* ---- crowd */

static void *stand(void *number)
{
	char text[16];
	snprintf(text, sizeof text, "crowd-%ld", (long)number);
	name(text);
	rest();
	return NULL;
}

static void run_crowd(int processes, int threads)
{
	for (long i = 0; i < processes; i++)
		if (!fork()) {
			for (long j = 1; j < threads; j++)
				spawn(stand, (void *)(i * threads + j));
			stand((void *)(i * threads));
		}
	rest();
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";
	scene = count > 2 ? words[2] : "";
	if (!strcmp(what, "mmap") && count > 3) {
		static char steps[128];
		for (int i = 3; i < count; i++)
			strncat(strcat(steps, " "), words[i], sizeof steps - strlen(steps) - 2);
		run_mmap(steps);
	} else if (!strcmp(what, "futex")) {
		run_futex();
	} else if (!strcmp(what, "crowd") && count > 3) {
		run_crowd(atoi(words[2]), atoi(words[3]));
	}
	fprintf(stderr, "see the head of tangle-user.c\n");
	return 2;
}
