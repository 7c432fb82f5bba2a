// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * tangle: ties tasks into locks as a script says, and tells what it did.
 *
 * A line written to /proc/tangle is one of
 *
 *   SCENE ROLE CPU STEP...     start a kernel thread ROLE that plays the steps; CPU is - for any
 *   go                         open the gates, one thread after the other
 *   here SCENE ROLE STEP...    the writing task plays the steps itself
 *   say SCENE ROLE REL KIND MODE TARGET
 *                              only tell; TARGET is a hexadecimal address, or the pid whose
 *                              mmap_lock is meant
 *   drive SCENE NAME           play what drivers.c has under this name
 *
 * and a step is one of
 *
 *   KIND[:r|:w]/NAME           take a lock; the first mention makes it, in this module's data
 *   KIND[:r|:w]*NAME           the same, the lock lies in allocated memory
 *   +KIND...                   behind the gate: this one will be had, not waited for
 *   >                          the gate: what stands before it is held, what stands behind blocks
 *   sleep busy irqoff fifo pause
 *
 * Each lock held or waited for becomes one console line "TANGLE {json}"; see ../README.md.
 * A new kind of lock is a line in kinds[] and the two functions that it names.
 */
#include <linux/completion.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/percpu-rwsem.h>
#include <linux/proc_fs.h>
#include <linux/rtmutex.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/semaphore.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/wait_bit.h>

#include "tangle.h"

#ifndef task_is_running			/* before 5.14 */
#define task_is_running(t) (READ_ONCE((t)->state) == TASK_RUNNING)
#endif

/* ------------------------------------------------------------------ kinds */

enum { SLOTS = 24, STEPS = 8 };

static struct mutex tangle_mutex[SLOTS];
static struct rw_semaphore tangle_rwsem[SLOTS];
static struct semaphore tangle_semaphore[SLOTS];
static struct rt_mutex tangle_rt_mutex[SLOTS];
static struct percpu_rw_semaphore tangle_percpu_rwsem[SLOTS];
static struct completion tangle_completion[SLOTS];
static wait_queue_head_t tangle_waitqueue[SLOTS];
static unsigned long tangle_bit[SLOTS];
static spinlock_t tangle_spinlock[SLOTS];
static raw_spinlock_t tangle_raw_spinlock[SLOTS];
static rwlock_t tangle_rwlock[SLOTS];
static int never;

#define DO(name, what) static void name(void *lock, bool write) { what; }
DO(new_mutex, mutex_init((struct mutex *)lock))
DO(get_mutex, mutex_lock(lock))
DO(new_rwsem, init_rwsem((struct rw_semaphore *)lock))
DO(get_rwsem, if (write) down_write(lock); else down_read(lock))
DO(new_semaphore, sema_init(lock, 1))
DO(get_semaphore, down(lock))
DO(new_rt_mutex, rt_mutex_init((struct rt_mutex *)lock))
DO(get_rt_mutex, rt_mutex_lock((struct rt_mutex *)lock))
DO(new_percpu_rwsem, percpu_init_rwsem((struct percpu_rw_semaphore *)lock))
DO(get_percpu_rwsem, if (write) percpu_down_write(lock); else percpu_down_read(lock))
DO(new_completion, init_completion((struct completion *)lock))
DO(get_completion, wait_for_completion(lock))
DO(new_waitqueue, init_waitqueue_head((wait_queue_head_t *)lock))
DO(get_waitqueue, wait_event(*(wait_queue_head_t *)lock, READ_ONCE(never)))
DO(new_bit, *(unsigned long *)lock = 1)
DO(get_bit, wait_on_bit_io(lock, 0, TASK_UNINTERRUPTIBLE))
DO(new_spinlock, spin_lock_init((spinlock_t *)lock))
DO(get_spinlock, spin_lock((spinlock_t *)lock))
DO(new_raw_spinlock, raw_spin_lock_init((raw_spinlock_t *)lock))
DO(get_raw_spinlock, raw_spin_lock((raw_spinlock_t *)lock))
DO(new_rwlock, rwlock_init((rwlock_t *)lock))
DO(get_rwlock, if (write) write_lock((rwlock_t *)lock); else read_lock((rwlock_t *)lock))
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
DO(get_folio, folio_lock(lock))
#else
DO(get_folio, lock_page(lock))
#endif

enum mode { EXCL, RW, NONE };
static const struct kind {
	const char *name;
	enum mode mode;
	void *pool;			/* the SLOTS static ones */
	size_t size;			/* 0: see find() */
	void (*make)(void *lock, bool unused);
	void (*take)(void *lock, bool write);
} kinds[] = {
#define KIND(k, mode) { #k, mode, tangle_##k, sizeof(tangle_##k[0]), new_##k, get_##k }
	KIND(mutex, EXCL), KIND(rwsem, RW), KIND(semaphore, EXCL), KIND(rt_mutex, EXCL),
	KIND(percpu_rwsem, RW), KIND(completion, NONE), KIND(waitqueue, NONE), KIND(bit, NONE),
	KIND(spinlock, EXCL), KIND(raw_spinlock, EXCL), KIND(rwlock, RW),
	{ "folio", EXCL, NULL, 0, NULL, get_folio },
	{ "mmap_lock", RW, NULL, 0, NULL, get_rwsem },
};

/* ---------------------------------------------------------------- objects */

static struct object {
	const struct kind *kind;
	char name[NAME];		/* SCENE/NAME */
	void *lock;
	char sym[NAME];			/* the C expression of a static one */
} objects[128];
static int objects_used, slots_used[ARRAY_SIZE(kinds)];
static DEFINE_MUTEX(objects_lock);

static bool fill(struct object *o, const struct kind *kind, bool allocated)
{
	int slot;

	o->kind = kind;
	if (!strcmp(kind->name, "folio"))
		o->lock = alloc_page(GFP_KERNEL);
	else if (allocated)
		o->lock = kzalloc(kind->size, GFP_KERNEL);
	else if ((slot = slots_used[kind - kinds]) < SLOTS) {
		slots_used[kind - kinds]++;
		o->lock = kind->pool + slot * kind->size;
		snprintf(o->sym, NAME, "tangle_%s[%d]", kind->name, slot);
	}
	if (o->lock && kind->make)
		kind->make(o->lock, false);
	return o->lock;
}

static struct object *find(const char *scene, const struct kind *kind, const char *name, bool allocated)
{
	struct object *o, *found = NULL;
	char full[NAME];

	snprintf(full, NAME, "%s/%s", scene, name);
	mutex_lock(&objects_lock);
	for (o = objects; o < objects + objects_used && !found; o++)
		if (o->kind == kind && !strcmp(o->name, full))
			found = o;
	if (!found && objects_used < ARRAY_SIZE(objects) && fill(o, kind, allocated)) {
		strcpy(o->name, full);
		objects_used++;
		found = o;
	}
	mutex_unlock(&objects_lock);
	return found;
}

/* ------------------------------------------------------------------ steps */

enum act { TAKE, GATE, SLEEP, BUSY, IRQOFF, FIFO, PAUSE };
static const char *const acts[] = { [GATE] = ">", "sleep", "busy", "irqoff", "fifo", "pause" };

struct actor {
	char scene[NAME], role[TASK_COMM_LEN];
	struct task_struct *task;
	struct completion at_gate, go;
	int steps;
	struct step {
		enum act act;
		bool write, had;
		const struct kind *kind;
		struct object *object;	/* NULL: the mmap_lock of the task that plays */
	} step[STEPS];
};

static bool parse_step(struct actor *a, char *word)
{
	struct step *s = &a->step[a->steps];
	char *p;
	int i;

	if (a->steps == STEPS)
		return false;
	a->steps++;
	for (i = GATE; i < ARRAY_SIZE(acts); i++)
		if (!strcmp(word, acts[i])) {
			s->act = i;
			return true;
		}
	s->act = TAKE;
	s->had = *word == '+';
	word += s->had;
	p = word;
	while (isalpha(*p) || *p == '_')
		p++;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].name) == p - word && !strncmp(word, kinds[i].name, p - word))
			s->kind = &kinds[i];
	if (!s->kind)
		return false;
	if (*p == ':') {
		s->write = p[1] == 'w';
		p += 2;
	}
	if (!strcmp(s->kind->name, "mmap_lock"))
		return true;
	if (*p != '/' && *p != '*')
		return false;
	s->object = find(a->scene, s->kind, p + 1, *p == '*');
	return s->object;
}

static char *word_of(char **rest)
{
	char *word;

	do
		word = strsep(rest, " \t\n");
	while (word && !*word);
	return word;
}

static struct actor *parse_actor(const char *scene, const char *role, char *steps)
{
	struct actor *a = kzalloc(sizeof(*a), GFP_KERNEL);
	char *word;

	if (!a)
		return NULL;
	strscpy(a->scene, scene, NAME);
	strscpy(a->role, role, sizeof(a->role));
	init_completion(&a->at_gate);
	init_completion(&a->go);
	while ((word = word_of(&steps)))
		if (!parse_step(a, word)) {
			pr_info("TANGLE-ERROR %s %s: bad step %s\n", scene, role, word);
			kfree(a);
			return NULL;
		}
	return a;
}

/* ------------------------------------------------------------------ truth */

static atomic_t told = ATOMIC_INIT(0);

void tell(const struct task_struct *task, const char *scene, const char *role, const char *kind, const void *lock,
	  const char *sym, const char *rel, const char *mode)
{
	pr_info("TANGLE {\"scenario\":\"%s\",\"role\":\"%s\",\"pid\":%d,\"tgid\":%d,\"task\":\"%px\","
		"\"kind\":\"%s\",\"lock\":\"%px\",\"sym\":\"%s\",\"rel\":\"%s\",\"mode\":\"%s\",\"order\":%d}\n",
		scene, role, task->pid, task->tgid, task, kind, lock, sym, rel, mode,
		atomic_inc_return(&told));
}

static void *lock_of(const struct step *s)
{
	return s->object ? s->object->lock : &current->mm->mmap_lock;
}

static void tell_step(const struct actor *a, const struct step *s, const char *rel)
{
	const char *mode = s->kind->mode == NONE ? "none" : s->kind->mode == EXCL ? "excl" :
			   s->write ? "write" : "read";

	tell(current, a->scene, a->role, s->kind->name, lock_of(s), s->object ? s->object->sym : "", rel, mode);
}

/* ------------------------------------------------------------------- play */

static void perform(const struct step *s)
{
	switch (s->act) {
	case TAKE:
		s->kind->take(lock_of(s), s->write);
		break;
	case SLEEP:
		for (;;)
			schedule_timeout_uninterruptible(MAX_SCHEDULE_TIMEOUT);
	case BUSY:
		for (;;)
			cpu_relax();
	case IRQOFF:
		local_irq_disable();
		break;
	case FIFO:
		sched_set_fifo_low(current);
		break;
	case PAUSE:			/* also with a spinlock held */
		mdelay(600);
		break;
	case GATE:
		break;
	}
}

/* Everything behind the gate is told before the first of it: who spins cannot print. */
static int play(void *arg)
{
	struct actor *a = arg;
	struct step *s = a->step, *end = a->step + a->steps, *t;

	for (; s < end && s->act != GATE; s++) {
		perform(s);
		if (s->act == TAKE)
			tell_step(a, s, "held");
	}
	if (a->task) {
		complete(&a->at_gate);
		wait_for_completion(&a->go);
	}
	for (t = s; t < end; t++)
		if (t->act == TAKE)
			tell_step(a, t, t->had ? "held" : "waiting");
	for (; s < end; s++)
		perform(s);
	pr_info("TANGLE-ERROR %s %s got through\n", a->scene, a->role);
	for (;;)
		schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
	return 0;
}

/* --------------------------------------------------------------- director */

static struct actor *cast[64];
static int cast_size;

static int start(struct actor *a, const char *cpu)
{
	unsigned int n = 0;
	bool bound = *cpu != '-';

	if (bound && (kstrtouint(cpu, 10, &n) || n >= num_online_cpus()))
		return -EINVAL;
	if (cast_size == ARRAY_SIZE(cast))
		return -ENOSPC;
	a->task = kthread_create(play, a, "%s", a->role);
	if (IS_ERR(a->task))
		return PTR_ERR(a->task);
	if (bound)
		kthread_bind(a->task, n);
	wake_up_process(a->task);
	cast[cast_size++] = a;
	return wait_for_completion_timeout(&a->at_gate, 60 * HZ) ? 0 : -ETIMEDOUT;
}

/* One gate after the other; the next opens when this one's task has gone to sleep or has spun a while. */
static void open_gates(void)
{
	int i, quiet, waited;

	for (i = 0; i < cast_size; i++) {
		complete(&cast[i]->go);
		for (quiet = waited = 0; quiet < 3 && waited < 15; waited++) {
			msleep(20);
			quiet = task_is_running(cast[i]->task) ? 0 : quiet + 1;
		}
	}
	cast_size = 0;
}

static int say(char *rest)
{
	char scene[NAME], role[NAME], rel[NAME], kind[NAME], mode[NAME];
	unsigned long target;
	void *lock;

	if (sscanf(rest, "%31s %31s %31s %31s %31s %lx", scene, role, rel, kind, mode, &target) != 6)
		return -EINVAL;
	lock = (void *)target;
	if (!strcmp(kind, "mmap_lock")) {
		struct task_struct *t = get_pid_task(find_vpid(target), PIDTYPE_PID);

		if (!t)
			return -ESRCH;
		lock = t->mm ? &t->mm->mmap_lock : NULL;
		put_task_struct(t);
	}
	tell(current, scene, role, kind, lock, "", rel, mode);
	return 0;
}

static int obey(char *line)
{
	char *first = word_of(&line), *scene, *role, *cpu;
	bool here = first && !strcmp(first, "here");
	struct actor *a;

	if (!first)
		return -EINVAL;
	if (!strcmp(first, "go")) {
		open_gates();
		return 0;
	}
	if (!strcmp(first, "say"))
		return line ? say(line) : -EINVAL;
	if (!strcmp(first, "drive")) {
		scene = word_of(&line);
		role = word_of(&line);
		return scene && role ? drive(scene, role) : -EINVAL;
	}
	scene = here ? word_of(&line) : first;
	role = word_of(&line);
	cpu = here ? NULL : word_of(&line);
	if (!line)
		return -EINVAL;
	a = parse_actor(scene, role, line);
	if (!a)
		return -EINVAL;
	return here ? play(a) : start(a, cpu);
}

static ssize_t tangle_write(struct file *f, const char __user *from, size_t len, loff_t *pos)
{
	char line[256];
	int error;

	if (len >= sizeof(line) || copy_from_user(line, from, len))
		return -EINVAL;
	line[len] = 0;
	error = obey(line);
	if (error) {
		line[strcspn(line, "\n")] = 0;
		pr_info("TANGLE-ERROR %d in the line of %s\n", error, line);
	}
	return error ?: len;
}

static const struct proc_ops tangle_ops = { .proc_write = tangle_write };

static int __init tangle_init(void)
{
	__module_get(THIS_MODULE);	/* its threads never end */
	return proc_create("tangle", 0200, NULL, &tangle_ops) ? 0 : -ENOMEM;
}
module_init(tangle_init);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("ties tasks into locks, for tests of crash dump tools");
