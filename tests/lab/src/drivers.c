// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * drivers: tasks that hold locks the way drivers and file systems do.
 *
 * script.c's threads take every lock in one function and tell so themselves, so that the lock's address is
 * all over their stacks.  Here the lock lies inside an allocated object, is taken in one function, and the
 * task stops some calls deeper, with the release still to come.  The director prints the truth before a task
 * runs for the first time: nothing of the printing is on its stack.
 *
 * A role that ends in "-passer" holds nothing: it took and gave back the same lock, and sleeps with a pointer
 * to it.  Naming it is wrong.
 *
 * A play is a function named in plays[]; a scene's line `drive NAME` runs it.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include <linux/rwsem.h>
#include <linux/semaphore.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/version.h>

#include "tangle.h"

struct port;
struct port_ops {
	int (*claim)(struct port *port);
	void (*release)(struct port *port);
	int (*transfer)(struct port *port, int length);
};

struct queue {
	unsigned long head, tail;
	spinlock_t ring;
	struct semaphore slots;
};

struct port {
	struct list_head link;
	const struct port_ops *ops;
	struct port *parent;
	int users, length, stopped;
	struct semaphore busy;
	struct rw_semaphore map;
	struct mutex config;
	struct percpu_rw_semaphore frozen;
	struct completion drained;	/* which nobody completes */
	rwlock_t routes;
	spinlock_t irq;
	struct hrtimer poll;
	struct queue queues[4];
};

static const struct port_ops claiming;

/* ------------------------------------------------------------- the driver */

/* Where everything stops: two or three calls below whoever holds. */
static noinline int port_drain(struct port *port)
{
	wait_for_completion(&port->drained);
	return port->users;
}

static noinline int port_throttle(struct port *port, int ms)
{
	while (!READ_ONCE(port->stopped))
		msleep(ms);
	return port->length;
}

static noinline int port_flush(struct port *port)
{
	int done;

	port->length++;
	done = port_drain(port);
	port->length--;
	return done;
}

static noinline int port_transfer(struct port *port, int length)
{
	port->users += length;
	length = port_throttle(port, 100 + length);
	port->users--;
	return length;
}

/* A lock around a call. */
static noinline int port_open(struct port *port)
{
	int error;

	down(&port->busy);
	port->users++;
	error = port_flush(port);
	port->users--;
	up(&port->busy);
	return error;
}

static noinline int port_probe(struct port *port)
{
	int users;

	down(&port->busy);
	users = port->users;
	up(&port->busy);
	return users + port_throttle(port, 150);
}

/* For reading, and by trylock; and out of the way at once when it is not to be had. */
static noinline int port_scan(struct port *port)
{
	int length;

	down_read(&port->map);
	length = port_transfer(port, port->users + 1);
	up_read(&port->map);
	return length;
}

static noinline int port_peek(struct port *port)
{
	int length = -EAGAIN;

	if (down_read_trylock(&port->map)) {
		length = port_flush(port);
		up_read(&port->map);
	}
	return length;
}

static noinline int port_remap(struct port *port)
{
	int length;

	down_write(&port->map);
	length = ++port->length;
	up_write(&port->map);
	return length;
}

/* A helper that returns with the lock, or with an error and without. */
static noinline int port_begin(struct port *port)
{
	if (port->stopped)
		return -ENODEV;
	down_read(&port->map);
	if (port->users > 1000) {
		up_read(&port->map);
		return -EBUSY;
	}
	port->users++;
	return 0;
}

static noinline void port_end(struct port *port)
{
	port->users--;
	up_read(&port->map);
}

static noinline int port_commit(struct port *port)
{
	int error = port_begin(port);

	if (error)
		return error;
	error = port_transfer(port, 7);
	port_end(port);
	return error;
}

static noinline int port_sync(struct port *port)
{
	int error = port_begin(port);

	if (error)
		return error;
	port_end(port);
	return port_transfer(port, 9);
}

/* The same through a table of operations. */
static int claim_busy(struct port *port)
{
	if (port->stopped)
		return -ENODEV;
	down(&port->busy);
	return 0;
}

static void release_busy(struct port *port)
{
	up(&port->busy);
}

static const struct port_ops claiming = { claim_busy, release_busy, port_transfer };

static noinline int port_submit(struct port *port)
{
	int error = port->ops->claim(port);

	if (error)
		return error;
	error = port->ops->transfer(port, 3);
	port->ops->release(port);
	return error;
}

static noinline int port_ping(struct port *port)
{
	int error = port->ops->claim(port);

	if (error)
		return error;
	port->ops->release(port);
	return port->ops->transfer(port, 4);
}

/* A lookup that returns the object locked, or an error in the pointer. */
static noinline struct port *port_find(struct list_head *ports, int users)
{
	struct port *port;

	list_for_each_entry(port, ports, link)
		if (port->users == users) {
			down(&port->busy);
			return port;
		}
	return ERR_PTR(-ENOENT);
}

static noinline int port_reset(struct list_head *ports)
{
	struct port *port = port_find(ports, 0);
	int error;

	if (IS_ERR(port))
		return PTR_ERR(port);
	error = port_flush(port);
	up(&port->busy);
	return error;
}

/* One of an array. */
static noinline int queue_fill(struct port *port, unsigned int hash)
{
	struct queue *queue = &port->queues[hash & 3];
	int error;

	down(&queue->slots);
	queue->head++;
	error = port_transfer(port, hash);
	up(&queue->slots);
	return error;
}

/* A context on the stack that one function fills and locks by, and another unlocks by. */
struct session {
	struct port *port;
	int length, error;
};

static noinline int session_start(struct session *session, struct port *port)
{
	session->port = port;
	session->length = 5;
	session->error = 0;
	down(&port->busy);
	return port->stopped;
}

static noinline void session_run(struct session *session)
{
	session->error = port_transfer(session->port, session->length);
}

static noinline void session_stop(struct session *session)
{
	up(&session->port->busy);
	session->port = NULL;
}

static noinline int port_session(struct port *port)
{
	struct session session;

	session_start(&session, port);
	session_run(&session);
	session_stop(&session);
	return session.error;
}

static noinline int port_visit(struct port *port)
{
	struct session session;

	session_start(&session, port);
	session_stop(&session);
	return session.error + port_transfer(port, 6);
}

/* By an output parameter. */
static noinline int port_get(struct list_head *ports, int users, struct port **found)
{
	struct port *port;

	list_for_each_entry(port, ports, link)
		if (port->users == users) {
			down_read(&port->map);
			*found = port;
			return 0;
		}
	return -ENOENT;
}

static noinline int port_print(struct list_head *ports)
{
	struct port *port;
	int error = port_get(ports, 0, &port);

	if (error)
		return error;
	error = port_transfer(port, 2);
	up_read(&port->map);
	return error;
}

/* Which locks, the caller says. */
#define LOCK_BUSY 1
#define LOCK_MAP 2

static noinline void port_lock(struct port *port, unsigned int which)
{
	if (which & LOCK_BUSY)
		down(&port->busy);
	if (which & LOCK_MAP)
		down_read(&port->map);
}

static noinline void port_unlock(struct port *port, unsigned int which)
{
	if (which & LOCK_MAP)
		up_read(&port->map);
	if (which & LOCK_BUSY)
		up(&port->busy);
}

static noinline int port_check(struct port *port)
{
	int length;

	port_lock(port, LOCK_BUSY);
	length = port_transfer(port, 8);
	port_unlock(port, LOCK_BUSY);
	return length;
}

static noinline int port_list(struct port *port)
{
	int length;

	port_lock(port, LOCK_MAP);
	length = port_transfer(port, 1);
	port_unlock(port, LOCK_MAP);
	return length;
}

static noinline int port_look(struct port *port)
{
	int length;

	port_lock(port, LOCK_BUSY | LOCK_MAP);
	length = port->length;
	port_unlock(port, LOCK_BUSY | LOCK_MAP);
	return port_transfer(port, 10) + length;
}

/* Three kinds, one inside the other, in three functions. */
static noinline int port_write(struct port *port)
{
	int error;

	down(&port->busy);
	error = port_flush(port);
	up(&port->busy);
	return error;
}

static noinline int port_resize(struct port *port)
{
	int error;

	down_write(&port->map);
	error = port_write(port);
	up_write(&port->map);
	return error;
}

static noinline int port_configure(struct port *port)
{
	int error;

	mutex_lock(&port->config);
	error = port_resize(port);
	mutex_unlock(&port->config);
	return error;
}

/* A mutex again, three calls deeper. */
static noinline int port_notify(struct port *port)
{
	int error;

	mutex_lock(&port->config);
	error = port->users++;
	mutex_unlock(&port->config);
	return error;
}

static noinline int port_changed(struct port *port)
{
	int error = port_notify(port);

	return error + port->length;
}

static noinline int port_rename(struct port *port)
{
	int error;

	mutex_lock(&port->config);
	error = port_changed(port);
	mutex_unlock(&port->config);
	return error;
}

/* An error path that forgets to unlock: the task ends with the lock. */
static noinline int port_leak(struct port *port)
{
	down_write(&port->map);
	if (!port->stopped)
		return -EIO;
	up_write(&port->map);
	return 0;
}

static noinline int port_thaw(struct port *port)
{
	percpu_down_write(&port->frozen);
	percpu_up_write(&port->frozen);
	return 0;
}

static noinline int port_allocate(struct port *port)
{
	int length;

	percpu_down_read(&port->frozen);
	length = port_transfer(port, 2);
	percpu_up_read(&port->frozen);
	return length;
}

/* With a CPU: the lock is in a register only. */
static noinline int ring_full(struct queue *queue)
{
	int rounds = 0;

	while (READ_ONCE(queue->head) != 1) {
		cpu_relax();
		rounds++;
	}
	return rounds;
}

static noinline int ring_wait(struct queue *queue)
{
	int rounds = ring_full(queue);

	return rounds + queue->tail;
}

static noinline int ring_push(struct port *port, unsigned int number)
{
	struct queue *queue = &port->queues[number & 3];
	int rounds;

	spin_lock(&queue->ring);
	queue->tail++;
	rounds = ring_wait(queue);
	spin_unlock(&queue->ring);
	return rounds;
}

static noinline int ring_drop(struct port *port, unsigned int number)
{
	int length;

	spin_lock(&port->queues[number & 3].ring);
	length = port->queues[number & 3].tail--;
	spin_unlock(&port->queues[number & 3].ring);
	return length;
}

static noinline int route_walk(struct port *port)
{
	while (READ_ONCE(port->length) != -1)
		cpu_relax();
	return port->length;
}

static noinline int route_lookup(struct port *port)
{
	int length;

	read_lock(&port->routes);
	length = route_walk(port);
	read_unlock(&port->routes);
	return length;
}

static noinline int route_add(struct port *port)
{
	write_lock(&port->routes);
	port->length++;
	write_unlock(&port->routes);
	return 0;
}

/* The interrupt of a timer wants the lock that the task under it holds. */
static enum hrtimer_restart port_tick(struct hrtimer *timer)
{
	struct port *port = container_of(timer, struct port, poll);

	spin_lock(&port->irq);
	port->users++;
	spin_unlock(&port->irq);
	return HRTIMER_NORESTART;
}

static noinline int port_stop(struct port *port)
{
	int length;

	spin_lock(&port->irq);
	hrtimer_start(&port->poll, ms_to_ktime(20), HRTIMER_MODE_REL_HARD);
	length = route_walk(port);
	spin_unlock(&port->irq);
	return length;
}

/* ----------------------------------------------------------- the director */

static const char *scene;

static noinline int got_through(int result)
{
	pr_info("TANGLE-ERROR %s %s got through: %d\n", scene, current->comm, result);
	for (;;)
		schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
	return 0;
}

#define THREAD(call) static int call##_thread(void *port) { return got_through(call(port)); }
THREAD(port_open) THREAD(port_probe) THREAD(port_scan) THREAD(port_peek) THREAD(port_remap)
THREAD(port_commit) THREAD(port_sync) THREAD(port_submit) THREAD(port_ping) THREAD(port_reset)
THREAD(port_session) THREAD(port_visit) THREAD(port_print) THREAD(port_check) THREAD(port_list) THREAD(port_look)
THREAD(port_configure) THREAD(port_rename) THREAD(port_thaw) THREAD(port_allocate)
THREAD(route_lookup) THREAD(route_add) THREAD(port_stop)
static int port_leak_thread(void *port) { return port_leak(port) & 0; }
static int queue_fill_thread(void *port) { return got_through(queue_fill(port, 6)); }
static int ring_push_thread(void *port) { return got_through(ring_push(port, 5)); }
static int ring_drop_thread(void *port) { return got_through(ring_drop(port, 5)); }

static struct port *new_port(void)
{
	struct port *port = kzalloc(sizeof(*port), GFP_KERNEL | __GFP_NOFAIL);
	int i;

	INIT_LIST_HEAD(&port->link);
	port->ops = &claiming;
	sema_init(&port->busy, 1);
	init_rwsem(&port->map);
	mutex_init(&port->config);
	if (percpu_init_rwsem(&port->frozen))
		pr_info("TANGLE-ERROR no memory\n");
	init_completion(&port->drained);
	rwlock_init(&port->routes);
	spin_lock_init(&port->irq);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(&port->poll, port_tick, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
#else
	hrtimer_init(&port->poll, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	port->poll.function = port_tick;
#endif
	for (i = 0; i < ARRAY_SIZE(port->queues); i++) {
		spin_lock_init(&port->queues[i].ring);
		sema_init(&port->queues[i].slots, 1);
	}
	return port;
}

/* One thing that is true of a task: "held", "waiting" and of what, ended by an empty one. */
struct fact {
	const char *rel, *kind, *mode;
	const void *lock;
};
#define HELD(kind, lock, mode) { "held", kind, mode, lock }
#define WAITS(kind, lock, mode) { "waiting", kind, mode, lock }

/* Tells the facts, then lets the task run until it stands still.  CPU 0: any. */
static void enter(const char *role, int (*thread)(void *), void *port, unsigned int cpu, const struct fact *facts)
{
	struct task_struct *task = kthread_create(thread, port, "%s", role);

	if (IS_ERR(task)) {
		pr_info("TANGLE-ERROR %s %s: %ld\n", scene, role, PTR_ERR(task));
		return;
	}
	if (cpu)
		kthread_bind(task, cpu);
	for (; facts->rel; facts++)
		tell(task, scene, role, facts->kind, facts->lock, "", facts->rel, facts->mode);
	wake_up_process(task);
	msleep(cpu ? 400 : 100);
}
#define ENTER(role, thread, port, cpu, ...) \
	enter(role, thread##_thread, port, cpu, (const struct fact[]){ __VA_ARGS__ __VA_OPT__(,) {} })

static void sleepers(void)
{
	static LIST_HEAD(ports);
	struct port *port = new_port();

	ENTER("open-passer", port_probe, port, 0);
	ENTER("open-holder", port_open, port, 0, HELD("semaphore", &port->busy, "excl"));
	ENTER("open-waiter", port_open, port, 0, WAITS("semaphore", &port->busy, "excl"));

	port = new_port();
	ENTER("scan-sleeps", port_scan, port, 0, HELD("rwsem", &port->map, "read"));
	ENTER("scan-peeks", port_peek, port, 0, HELD("rwsem", &port->map, "read"));
	ENTER("scan-waiter", port_remap, port, 0, WAITS("rwsem", &port->map, "write"));

	port = new_port();
	ENTER("begin-passer", port_sync, port, 0);
	ENTER("begin-holder", port_commit, port, 0, HELD("rwsem", &port->map, "read"));
	ENTER("begin-waiter", port_remap, port, 0, WAITS("rwsem", &port->map, "write"));

	port = new_port();
	ENTER("ops-passer", port_ping, port, 0);
	ENTER("ops-holder", port_submit, port, 0, HELD("semaphore", &port->busy, "excl"));
	ENTER("ops-waiter", port_open, port, 0, WAITS("semaphore", &port->busy, "excl"));

	port = new_port();
	list_add(&port->link, &ports);
	ENTER("find-holder", port_reset, &ports, 0, HELD("semaphore", &port->busy, "excl"));
	ENTER("find-waiter", port_open, port, 0, WAITS("semaphore", &port->busy, "excl"));

	port = new_port();
	ENTER("array-holder", queue_fill, port, 0, HELD("semaphore", &port->queues[2].slots, "excl"));
	ENTER("array-waiter", queue_fill, port, 0, WAITS("semaphore", &port->queues[2].slots, "excl"));

	port = new_port();
	ENTER("nest-holder", port_configure, port, 0, HELD("mutex", &port->config, "excl"),
	      HELD("rwsem", &port->map, "write"), HELD("semaphore", &port->busy, "excl"));
	ENTER("nest-mutex", port_configure, port, 0, WAITS("mutex", &port->config, "excl"));
	ENTER("nest-rwsem", port_scan, port, 0, WAITS("rwsem", &port->map, "read"));
	ENTER("nest-sem", port_open, port, 0, WAITS("semaphore", &port->busy, "excl"));

#ifndef CONFIG_PREEMPT_RT		/* 6.1 dereferences NULL when it finds that deadlock */
	port = new_port();
	ENTER("self", port_rename, port, 0, HELD("mutex", &port->config, "excl"), WAITS("mutex", &port->config, "excl"));

	port = new_port();		/* the same if the waiter is given the leaver's task_struct */
	ENTER("leaver", port_leak, port, 0, HELD("rwsem", &port->map, "exited"));
	ENTER("leaver-waiter", port_remap, port, 0, WAITS("rwsem", &port->map, "write"));
#endif

	port = new_port();
	ENTER("alloc-holder", port_allocate, port, 0, HELD("percpu_rwsem", &port->frozen, "read"));
	ENTER("alloc-waiter", port_thaw, port, 0, WAITS("percpu_rwsem", &port->frozen, "write"));
}

static void sessions(void)
{
	static LIST_HEAD(ports);
	struct port *port = new_port();

	ENTER("visit-passer", port_visit, port, 0);
	ENTER("session-holder", port_session, port, 0, HELD("semaphore", &port->busy, "excl"));
	ENTER("session-waiter", port_open, port, 0, WAITS("semaphore", &port->busy, "excl"));

	port = new_port();
	list_add(&port->link, &ports);
	ENTER("print-holder", port_print, &ports, 0, HELD("rwsem", &port->map, "read"));
	ENTER("print-waiter", port_remap, port, 0, WAITS("rwsem", &port->map, "write"));

	port = new_port();
	ENTER("look-passer", port_look, port, 0);
	ENTER("check-holder", port_check, port, 0, HELD("semaphore", &port->busy, "excl"));
	ENTER("list-holder", port_list, port, 0, HELD("rwsem", &port->map, "read"));
	ENTER("check-waiter", port_open, port, 0, WAITS("semaphore", &port->busy, "excl"));
	ENTER("list-waiter", port_remap, port, 0, WAITS("rwsem", &port->map, "write"));
}

static void spinners(void)
{
	struct port *port = new_port();

	ENTER("ring-holder", ring_push, port, 1, HELD("spinlock", &port->queues[1].ring, "excl"));
	ENTER("ring-first", ring_drop, port, 2, WAITS("spinlock", &port->queues[1].ring, "excl"));
	ENTER("ring-second", ring_push, port, 3, WAITS("spinlock", &port->queues[1].ring, "excl"));
}

static void routes(void)
{
	struct port *port = new_port();

	ENTER("route-holder", route_lookup, port, 1, HELD("rwlock", &port->routes, "read"));
	ENTER("route-writer", route_add, port, 2, WAITS("rwlock", &port->routes, "write"));
}

static void interrupt(void)
{
	struct port *port = new_port();

	ENTER("irq-self", port_stop, port, 1, HELD("spinlock", &port->irq, "excl"), WAITS("spinlock", &port->irq, "excl"));
}

static const struct {
	const char *name;
	int cpus;
	void (*play)(void);
} plays[] = {
	{ "sleepers", 1, sleepers },
	{ "sessions", 1, sessions },
	{ "spinners", 4, spinners },
	{ "routes", 3, routes },
	{ "interrupt", 2, interrupt },
};

int drive(const char *of, const char *name)
{
	static char now[NAME];
	int i;

	for (i = 0; i < ARRAY_SIZE(plays); i++) {
		if (strcmp(plays[i].name, name))
			continue;
		if (num_online_cpus() < plays[i].cpus)
			return -ENODEV;
		strscpy(now, of, NAME);
		scene = now;
		plays[i].play();
		return 0;
	}
	return -EINVAL;
}
