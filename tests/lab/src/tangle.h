/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the two halves of the module share: script.c plays the steps of a scene, drivers.c code of natural shape. */
#include <linux/sched.h>

enum { NAME = 32 };

/* One line of truth; see ../README.md. `sym` is the C expression of a static lock, or empty. */
void tell(const struct task_struct *task, const char *scene, const char *role, const char *kind, const void *lock,
	  const char *sym, const char *rel, const char *mode);

/* Plays what drivers.c has under this name. */
int drive(const char *scene, const char *name);
