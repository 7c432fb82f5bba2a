/*
 * The types of the synthetic kernel, and its variables.
 *
 * Names, order and offsets are those that Linux 2.6.32 has as CentOS 6 builds it for x86-64 (431.el6),
 * as far as the published figures and what any debugger needs go; written from the figures and from
 * public knowledge of that kernel, not copied from it. What nobody asks for is room (`__NN`).
 * Only the debug information of this file and the places of its variables matter: nothing runs.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef _Bool bool;
typedef int pid_t;
typedef unsigned int gfp_t;
typedef struct { volatile int counter; } atomic_t;
typedef struct { volatile long counter; } atomic_long_t;
typedef atomic_long_t mm_counter_t;

#define NR_CPUS 4096
#define PER_CPU __attribute__((section(".data.percpu"), used))
#define KEEP __attribute__((used))

struct list_head { struct list_head *next, *prev; };
struct hlist_head { struct hlist_node *first; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct plist_head { struct list_head prio_list, node_list; };
struct plist_node { int prio; struct plist_head plist; };
struct rb_node { unsigned long rb_parent_color; struct rb_node *rb_right, *rb_left; };
struct rb_root { struct rb_node *rb_node; };

/* Ticket locks: the ticket served in the low half, the next one to be given out in the high half. */
typedef struct raw_spinlock { unsigned int slock; } raw_spinlock_t;
typedef struct { raw_spinlock_t raw_lock; } spinlock_t;
typedef struct { unsigned int lock; } raw_rwlock_t;
typedef struct { raw_rwlock_t raw_lock; } rwlock_t;
typedef struct { unsigned sequence; spinlock_t lock; } seqlock_t;

typedef signed long rwsem_count_t;
struct rw_semaphore { rwsem_count_t count; spinlock_t wait_lock; struct list_head wait_list; };
struct rwsem_waiter { struct list_head list; struct task_struct *task; unsigned int flags; };

struct mutex { atomic_t count; spinlock_t wait_lock; struct list_head wait_list; struct thread_info *owner; };
struct mutex_waiter { struct list_head list; struct task_struct *task; };
struct semaphore { spinlock_t lock; unsigned int count; struct list_head wait_list; };
struct semaphore_waiter { struct list_head list; struct task_struct *task; int up; };
struct rt_mutex { spinlock_t wait_lock; struct plist_head wait_list; struct task_struct *owner; };
struct rt_mutex_waiter {
	struct plist_node list_entry, pi_list_entry;
	struct task_struct *task;
	struct rt_mutex *lock;
};

struct __wait_queue;
typedef int (*wait_queue_func_t)(struct __wait_queue *, unsigned, int, void *);
typedef struct __wait_queue {
	unsigned int flags;
	void *private;
	wait_queue_func_t func;
	struct list_head task_list;
} wait_queue_t;
typedef struct __wait_queue_head { spinlock_t lock; struct list_head task_list; } wait_queue_head_t;
struct wait_bit_key { void *flags; int bit_nr; };
struct wait_bit_queue { struct wait_bit_key key; wait_queue_t wait; };
struct completion { unsigned int done; wait_queue_head_t wait; };

union futex_key {
	struct { unsigned long pgoff; struct inode *inode; int offset; } shared;
	struct { unsigned long address; struct mm_struct *mm; int offset; } private;
	struct { unsigned long word; void *ptr; int offset; } both;
};
struct futex_q {
	struct plist_node list;
	struct task_struct *task;
	spinlock_t *lock_ptr;
	union futex_key key;
	void *pi_state;
	void *rt_waiter;
	union futex_key *requeue_pi_key;
	u32 bitset;
};
struct futex_hash_bucket { spinlock_t lock; struct plist_head chain; };

struct timespec { long tv_sec; long tv_nsec; };

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
struct desc_struct { u64 raw; };
struct thread_struct {
	struct desc_struct tls_array[3];
	unsigned long sp0;
	unsigned long sp;
	unsigned long usersp;
	unsigned short es, ds, fsindex, gsindex;
	unsigned long fs, gs;
	unsigned long debugreg0, debugreg1, debugreg2, debugreg3, debugreg6, debugreg7;
	unsigned long cr2, trap_no, error_code;
	void *xstate;
	unsigned long *io_bitmap_ptr;
	unsigned long iopl;
	unsigned io_bitmap_max;
};
struct thread_info {
	struct task_struct *task;
	void *exec_domain;
	u32 flags;
	u32 status;
	u32 cpu;
	int preempt_count;
	unsigned long addr_limit;
	u8 restart_block[56];
	void *sysenter_return;
	int uaccess_err;
};
union thread_union { struct thread_info thread_info; unsigned long stack[8192 / sizeof(long)]; };

struct load_weight { unsigned long weight, inv_weight; };
struct sched_entity {
	struct load_weight load;
	struct rb_node run_node;
	struct list_head group_node;
	unsigned int on_rq;
	u64 exec_start;
	u64 sum_exec_runtime;
	u64 vruntime;
	u64 prev_sum_exec_runtime;
	u8 __statistics[0x158];
	struct sched_entity *parent;
	struct cfs_rq *cfs_rq, *my_q;
};
struct sched_info { unsigned long pcount; unsigned long long run_delay, last_arrival, last_queued; unsigned int bkl_count; };
struct pid_link { struct hlist_node node; struct pid *pid; };

struct task_struct {
	volatile long state;
	void *stack;
	atomic_t usage;
	unsigned int flags;
	unsigned int ptrace;
	int lock_depth;
	int prio, static_prio, normal_prio;
	unsigned int rt_priority;
	const void *sched_class;
	struct sched_entity se;
	u8 __rt[0x48];
	unsigned char fpu_counter;
	unsigned int policy;
	u64 cpus_allowed[64];
	struct sched_info sched_info;
	struct list_head tasks;
	struct plist_node pushable_tasks;
	struct mm_struct *mm, *active_mm;
	int exit_state;
	int exit_code, exit_signal;
	int pdeath_signal;
	unsigned int personality;
	unsigned did_exec : 1;
	unsigned in_execve : 1;
	unsigned in_iowait : 1;
	pid_t pid;
	pid_t tgid;
	unsigned long stack_canary;
	struct task_struct *real_parent;
	struct task_struct *parent;
	struct list_head children;
	struct list_head sibling;
	struct task_struct *group_leader;
	struct list_head ptraced;
	struct list_head ptrace_entry;
	struct pid_link pids[3];
	struct list_head thread_group;
	struct completion *vfork_done;
	int *set_child_tid, *clear_child_tid;
	u64 utime, stime, utimescaled, stimescaled, gtime, prev_utime, prev_stime;
	unsigned long nvcsw, nivcsw;
	struct timespec start_time;
	struct timespec real_start_time;
	unsigned long min_flt, maj_flt;
	u8 __cputime_expires[24];
	struct list_head cpu_timers[3];
	const void *real_cred, *cred;
	struct mutex cred_guard_mutex;
	void *replacement_session_keyring;
	char comm[16];
	int link_count, total_link_count;
	u8 __sysvsem[8];
	unsigned long last_switch_count;
	struct thread_struct thread;
	void *fs;
	void *files;
	void *nsproxy;
	struct signal_struct *signal;
	void *sighand;
	u8 __signals[0x1b8];
	struct rt_mutex_waiter *pi_blocked_on;
	u8 __rest[0xf0];
};
/* Taken for an mm_struct, a task has the end of this list for the count of its mmap_sem. */
_Static_assert(__builtin_offsetof(struct task_struct, se.group_node.prev) == 0x68, "as the figures have it");
/* So far apart lie the task_structs of one slab, as their addresses in the figures show. */
_Static_assert(sizeof(struct task_struct) == 0xa60, "as the addresses in the figures have it");

struct signal_struct { atomic_t count; atomic_t live; wait_queue_head_t wait_chldexit; struct task_struct *curr_target; };

struct vm_area_struct {
	struct mm_struct *vm_mm;
	unsigned long vm_start, vm_end;
	struct vm_area_struct *vm_next, *vm_prev;
	unsigned long vm_page_prot, vm_flags;
	struct rb_node vm_rb;
};
struct mm_struct {
	struct vm_area_struct *mmap;
	struct rb_root mm_rb;
	struct vm_area_struct *mmap_cache;
	void *get_unmapped_area, *get_unmapped_exec_area, *unmap_area;
	unsigned long mmap_base, task_size, cached_hole_size, free_area_cache;
	u64 *pgd;
	atomic_t mm_users;
	atomic_t mm_count;
	int map_count;
	struct rw_semaphore mmap_sem;
	spinlock_t page_table_lock;
	struct list_head mmlist;
	mm_counter_t _file_rss, _anon_rss, _swap_usage;
	unsigned long hiwater_rss, hiwater_vm;
	unsigned long total_vm, locked_vm, shared_vm, exec_vm;
	unsigned long stack_vm, reserved_vm, def_flags, nr_ptes;
	unsigned long start_code, end_code, start_data, end_data;
	unsigned long start_brk, brk, start_stack;
	unsigned long arg_start, arg_end, env_start, env_end;
	unsigned long saved_auxv[44];
	void *binfmt;
	u64 cpu_vm_mask[64];
	u8 __context[0x48];
	unsigned int faultstamp, token_priority, last_interval;
	unsigned long flags;
	void *core_state;
	spinlock_t ioctx_lock;
	struct hlist_head ioctx_list;
	struct task_struct *owner;
};
_Static_assert(__builtin_offsetof(struct mm_struct, mmap_sem) == 0x68, "as the figures have it");
_Static_assert(__builtin_offsetof(struct rw_semaphore, wait_list) == 0x10, "as the figures have it");

struct cfs_rq {
	struct load_weight load;
	unsigned long nr_running;
	u64 exec_clock, min_vruntime;
	struct rb_root tasks_timeline;
	struct rb_node *rb_leftmost;
	struct list_head tasks;
	struct list_head *balance_iterator;
	struct sched_entity *curr, *next, *last;
};
struct rq {
	spinlock_t lock;
	unsigned long nr_running;
	unsigned long cpu_load[5];
	struct load_weight load;
	unsigned long nr_load_updates;
	u64 nr_switches;
	struct cfs_rq cfs;
	unsigned long nr_uninterruptible;
	struct task_struct *curr, *idle;
	unsigned long next_balance;
	struct mm_struct *prev_mm;
	u64 clock;
	atomic_t nr_iowait;
	int cpu;
};

struct free_area { struct list_head free_list[5]; unsigned long nr_free; };
struct zone {
	unsigned long watermark[3];
	unsigned long lowmem_reserve[4];
	int node;
	unsigned long min_unmapped_pages, min_slab_pages;
	struct per_cpu_pageset *pageset[NR_CPUS];
	spinlock_t lock;
	int all_unreclaimable;
	seqlock_t span_seqlock;
	struct free_area free_area[11];
	/* What many CPUs write begins on a cache line of its own. */
	spinlock_t lru_lock __attribute__((aligned(64)));
	struct { struct list_head list; } lru[5];
	u8 __reclaim_stat[0x40];
	unsigned long pages_scanned;
	unsigned long flags;
	atomic_long_t vm_stat[64];
	int prev_priority;
	unsigned int inactive_ratio;
	wait_queue_head_t *wait_table __attribute__((aligned(64)));
	unsigned long wait_table_hash_nr_entries, wait_table_bits;
	struct pglist_data *zone_pgdat;
	unsigned long zone_start_pfn, spanned_pages, present_pages;
	const char *name;
};
_Static_assert(__builtin_offsetof(struct zone, lru_lock) == 0x8440, "as the registers in the figures have it");
_Static_assert(sizeof(struct zone) == 0x8740, "the third zone of a node that begins at a page");
typedef struct pglist_data {
	struct zone node_zones[4];
	u8 __zonelists[0x40];
	int nr_zones;
	unsigned long node_start_pfn, node_present_pages, node_spanned_pages;
	int node_id;
	wait_queue_head_t kswapd_wait;
	struct task_struct *kswapd;
	int kswapd_max_order;
} pg_data_t;
struct pagevec { unsigned long nr, cold; struct page *pages[14]; };
struct page {
	unsigned long flags;
	atomic_t _count;
	atomic_t _mapcount;
	unsigned long private;
	struct address_space *mapping;
	unsigned long index;
	struct list_head lru;
};

struct new_utsname { char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65]; };
struct kref { atomic_t refcount; };
struct uts_namespace { struct kref kref; struct new_utsname name; };

struct clocksource {
	char *name;
	struct list_head list;
	int rating;
	void *read, *enable, *disable;
	u64 mask;
	u32 mult, shift;
	u64 max_idle_ns;
	unsigned long flags;
};
struct module {
	int state;
	struct list_head list;
	char name[60];
	u8 __kobject[0xa0];
	void *module_init, *module_core;
	unsigned int init_size, core_size, init_text_size, core_text_size;
	unsigned int taints;
	void *symtab;
	unsigned int num_symtab;
	char *strtab;
};
typedef struct cpumask { u64 bits[NR_CPUS / 64]; } cpumask_t;
struct address_space { struct inode *host; };
struct inode { struct mutex i_mutex; struct rw_semaphore i_alloc_sem; struct address_space i_data; };

/* Variables: per-CPU ones first, whose addresses are distances from the start of a CPU's area. */
PER_CPU struct { char stack[0x4000]; } per_cpu__irq_stack_union;
PER_CPU struct { u64 gdt[512]; } per_cpu__gdt_page;
/* Stack fault, double fault, NMI, 4 KiB each; debug, 8 KiB; machine check. */
PER_CPU char per_cpu__exception_stacks[6 * 0x1000];
PER_CPU char __percpu_room_1[0x1bc0];
PER_CPU struct task_struct *per_cpu__current_task;
PER_CPU unsigned long per_cpu__kernel_stack;
PER_CPU char __percpu_room_2[0x65d0];
PER_CPU struct pagevec per_cpu__lru_deactivate_pvecs;
PER_CPU char __percpu_room_3[0x3600];
PER_CPU struct rq per_cpu__runqueues;

KEEP struct task_struct init_task;
KEEP struct mm_struct init_mm;
KEEP struct uts_namespace init_uts_ns;
KEEP unsigned long __per_cpu_offset[NR_CPUS];
KEEP cpumask_t cpu_possible_bits, cpu_online_bits, cpu_present_bits, cpu_active_bits;
KEEP u64 jiffies_64;
KEEP struct clocksource clocksource_jiffies;
KEEP struct timespec xtime;
KEEP unsigned long avenrun[3];
KEEP unsigned long max_pfn;
KEEP unsigned long totalram_pages;
KEEP atomic_long_t vm_stat[32];
KEEP unsigned int cpu_khz;
KEEP int crashing_cpu;
KEEP unsigned long tainted_mask;
KEEP struct list_head modules;
KEEP pg_data_t *node_data[2];
KEEP char *log_buf;
KEEP int log_buf_len;
KEEP unsigned log_end, log_start, con_start, logged_chars;
KEEP char __log_buf[0x10000] __attribute__((aligned(4096)));
KEEP struct futex_hash_bucket futex_queues[256];
KEEP void *sys_call_table[312];
KEEP const char *task_state_array[9];
KEEP char task_state_names[9][32];
KEEP char zone_names[4][16];
KEEP const char linux_banner[160] = "Linux version 2.6.32-431.el6.x86_64 (synthetic: made by the tests of hangscope) #1 SMP\n";
KEEP u64 init_level4_pgt[512] __attribute__((aligned(4096)));
KEEP u64 level3_ident_pgt[512] __attribute__((aligned(4096)));
KEEP u64 level3_kernel_pgt[512] __attribute__((aligned(4096)));
KEEP u64 level2_kernel_pgt[512] __attribute__((aligned(4096)));

/* Types that no variable has are named here, so that the debug information holds them. */
KEEP struct {
	struct rwsem_waiter a; struct mutex_waiter b; struct semaphore c; struct semaphore_waiter d; struct rt_mutex e;
	struct rt_mutex_waiter f; struct wait_bit_queue g; struct completion h; struct futex_q i; union thread_union j;
	struct pt_regs k; struct signal_struct l; struct page m; struct inode n; struct module o; rwlock_t p;
	struct vm_area_struct q; struct hlist_head r; seqlock_t s; gfp_t t; bool u;
} __types;
_Static_assert(__builtin_offsetof(struct task_struct, mm) == 0x4b8, "as code.S has it");
_Static_assert(__builtin_offsetof(struct task_struct, thread.sp) == 0x6f8, "as code.S has it");
