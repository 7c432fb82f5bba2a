/*
 * The code of the synthetic kernel: as much of each function as its stack frame, its calls and its locks need,
 * where the published figures have it. The instructions are real and say what they do: a disassembler, an unwinder
 * and an analysis of locks find here what they would find in the kernel that the case happened in (gcc 4.4 with frame
 * pointers, the ticket lock of 2.6.25 to 4.1). What stands between them is padded with nops. Written for this
 * test; no kernel's code was copied.
 *
 * FN name, address, file, line, bytes of locals, registers that it saves; CALLS function, return address, line; END name.
 */
#define ARCH 1
#define ENTRY 2
#define FAULT 3
#define SCHED 4
#define RWSEM 5
#define ASM_RWSEM 6
#define MPROTECT 7
#define SWAP 8
#define VMSCAN 9
#define ALLOC 10
#define MEMORY 11
#define MEMPOLICY 12
#define SPIN 13
#define TASK_MMU 14
#define SEQ 15
#define RW 16
#define FUTEX 17
#define HRTIMER 18
#define EPOLL 19
#define EXIT 20
#define PIPE 21
#define WORK 22
#define KTHREAD 23
#define HUNG 24
#define PANIC 25
#define KEXEC 26
#define CRASH 27
#define NOTIFIER 28
#define TRAPS 29
#define IDLE 30
#define PROCESS 31
#define CPUIDLE 32
#define SMPBOOT 33
#define MAIN 34
#define INODE 35
#define TRUNCATE 36
#define PROC 37
#define FILEMAP 38
#define ASMSPIN 39

.set BASE, 0xffffffff81000000
.set ZONE_LRU_LOCK, 0x8440
.set MMAP_SEM, 0x68
.set TASK_MM, 0x4b8
.set TASK_SP, 0x6f8

.file 1 "arch/x86/include/asm/system.h"
.file 2 "arch/x86/kernel/entry_64.S"
.file 3 "arch/x86/mm/fault.c"
.file 4 "kernel/sched.c"
.file 5 "lib/rwsem.c"
.file 6 "arch/x86/lib/rwsem_64.S"
.file 7 "mm/mprotect.c"
.file 8 "mm/swap.c"
.file 9 "mm/vmscan.c"
.file 10 "mm/page_alloc.c"
.file 11 "mm/memory.c"
.file 12 "mm/mempolicy.c"
.file 13 "kernel/spinlock.c"
.file 14 "fs/proc/task_mmu.c"
.file 15 "fs/seq_file.c"
.file 16 "fs/read_write.c"
.file 17 "kernel/futex.c"
.file 18 "kernel/hrtimer.c"
.file 19 "fs/eventpoll.c"
.file 20 "kernel/exit.c"
.file 21 "fs/pipe.c"
.file 22 "kernel/workqueue.c"
.file 23 "kernel/kthread.c"
.file 24 "kernel/hung_task.c"
.file 25 "kernel/panic.c"
.file 26 "kernel/kexec.c"
.file 27 "arch/x86/kernel/crash.c"
.file 28 "kernel/notifier.c"
.file 29 "arch/x86/kernel/traps.c"
.file 30 "drivers/idle/intel_idle.c"
.file 31 "arch/x86/kernel/process_64.c"
.file 32 "drivers/cpuidle/cpuidle.c"
.file 33 "arch/x86/kernel/smpboot.c"
.file 34 "init/main.c"
.file 35 "fs/inode.c"
.file 36 "mm/truncate.c"
.file 37 "fs/proc/base.c"
.file 38 "mm/filemap.c"
.file 39 "arch/x86/include/asm/spinlock.h"

/* Debug information: one unit, and a function for each FN. */
.section .debug_abbrev,"",@progbits
abbrevs:
	.uleb128 1, 0x11		/* DW_TAG_compile_unit, with children */
	.byte 1
	.uleb128 0x10, 0x17, 0x11, 0x01, 0x12, 0x07	/* stmt_list, low_pc, high_pc */
	.uleb128 0x03, 0x08, 0x1b, 0x08, 0x25, 0x08, 0x13, 0x05	/* name, comp_dir, producer, language */
	.uleb128 0, 0
	.uleb128 2, 0x2e		/* DW_TAG_subprogram */
	.byte 0
	.uleb128 0x03, 0x08, 0x3a, 0x0b, 0x3b, 0x05	/* name, decl_file, decl_line */
	.uleb128 0x11, 0x01, 0x12, 0x07, 0x3f, 0x19	/* low_pc, high_pc, external */
	.uleb128 0, 0
	.byte 0
.section .debug_info,"",@progbits
	.long units_end - units
units:
	.short 4
	.long abbrevs
	.byte 8
	.uleb128 1
	.long lines
	.quad _text
	.quad _etext - _text
	.asciz "the synthetic kernel of the seed case"
	.asciz "/usr/src/debug/kernel-2.6.32-431.el6/linux-2.6.32-431.el6.x86_64"
	.asciz "GNU AS"
	.short 0x8001
.section .debug_line,"",@progbits
lines:

.section .debug_frame,"",@progbits
.cfi_sections .debug_frame

.text
.globl _text, _stext
_text:
_stext:
	.quad 0

.macro AT address, fill=0
	.org \address - BASE, \fill
.endm
.macro DIE name, file, line
	.pushsection .debug_info
	.uleb128 2
	.asciz "\name"
	.byte \file
	.short \line
	.quad \name
	.quad .Lend_\name - \name
	.popsection
.endm
/* The functions that stand here in the kernel are left out: nothing before this is as long as up to the next one. */
.macro ROOM
left_out.\@:
.endm
/* A function that begins without a frame of its own. */
.macro RAW name, address, file, line
	AT \address
	.globl \name
	.type \name, @function
\name:
	.loc \file \line
	DIE \name, \file, \line
.endm
.macro FN name, address, file, line, locals=0, regs:vararg
	RAW \name, \address, \file, \line
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	.set saved, -16
	.set in_file, \file
	.set own_locals, \locals
	.irp r, \regs
	.ifnb \r
	push %\r
	.set saved, saved - 8
	.cfi_offset %\r, saved
	.endif
	.endr
	.if \locals
	sub $\locals, %rsp
	.endif
	nopl 0(%rax,%rax,1)
.endm
.macro CALLS to, ret, line
	AT (\ret - 5), 0x90
	.loc in_file \line
	call \to
	.loc in_file \line + 1
.endm
.macro END name, regs:vararg
	.if own_locals
	add $own_locals, %rsp
	.endif
	.irp r, \regs
	.ifnb \r
	pop %\r
	.endif
	.endr
	pop %rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size \name, . - \name
.Lend_\name:
	ROOM
.endm

/* Where pt_regs has the registers that a function may change, and those that it must not, below the CFA. */
.macro CALLER_SAVED
	.cfi_offset %r11, -0x78
	.cfi_offset %r10, -0x70
	.cfi_offset %r9, -0x68
	.cfi_offset %r8, -0x60
	.cfi_offset %rax, -0x58
	.cfi_offset %rcx, -0x50
	.cfi_offset %rdx, -0x48
	.cfi_offset %rsi, -0x40
	.cfi_offset %rdi, -0x38
.endm
.macro CALLEE_SAVED
	.cfi_offset %r15, -0xa8
	.cfi_offset %r14, -0xa0
	.cfi_offset %r13, -0x98
	.cfi_offset %r12, -0x90
	.cfi_offset %rbp, -0x88
	.cfi_offset %rbx, -0x80
.endm
/* An exception: the CPU has pushed SS, RSP, RFLAGS, CS and RIP, and what it was about; the rest of pt_regs follows. */
.macro EXCEPTION name, address, line, handler, ret
	RAW \name, \address, ENTRY, \line
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %rsp, 0x28
	.cfi_offset %rip, -0x28
	.cfi_offset %rsp, -0x10
	sub $0x80, %rsp
	.cfi_def_cfa %rsp, 0xa8
	mov %rdi, 0x70(%rsp)
	mov %rsi, 0x68(%rsp)
	mov %rdx, 0x60(%rsp)
	mov %rcx, 0x58(%rsp)
	mov %rax, 0x50(%rsp)
	mov %r8, 0x48(%rsp)
	mov %r9, 0x40(%rsp)
	mov %r10, 0x38(%rsp)
	mov %r11, 0x30(%rsp)
	mov %rbx, 0x28(%rsp)
	mov %rbp, 0x20(%rsp)
	mov %r12, 0x18(%rsp)
	mov %r13, 0x10(%rsp)
	mov %r14, 0x8(%rsp)
	mov %r15, (%rsp)
	CALLER_SAVED
	CALLEE_SAVED
	mov %rsp, %rdi
	mov 0x78(%rsp), %rsi
	.set in_file, ENTRY
	CALLS \handler, \ret, \line + 4
	add $0x80, %rsp
	.cfi_def_cfa %rsp, 0x28
	iretq
	.cfi_endproc
	.size \name, . - \name
.Lend_\name:
	ROOM
.endm

/* Where every kernel is entered and left. */
FN cpu_idle, 0xffffffff81009f10, PROCESS, 128, 0x8, rbx
	CALLS cpuidle_idle_call, 0xffffffff81009fe6, 153
	CALLS schedule, 0xffffffff8100a018, 163
END cpu_idle, rbx

/* R11 to SS of pt_regs are saved: 15 words, the CPU's own five among them (SYSCALL leaves that to the kernel). */
RAW system_call, 0xffffffff8100b000, ENTRY, 480
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa %rsp, 0
	.cfi_register %rip, %rcx
	swapgs
	mov %rsp, %gs:0xcbd0
	mov %gs:0xcbc8, %rsp
	sti
	sub $0x50, %rsp
	.cfi_def_cfa %rsp, 0x78
	.cfi_offset %rip, -0x28
	.cfi_offset %rsp, -0x10
	CALLER_SAVED
	mov %rdi, 0x40(%rsp)
	mov %rsi, 0x38(%rsp)
	mov %rdx, 0x30(%rsp)
	mov %rax, 0x20(%rsp)
	mov %rax, 0x48(%rsp)
	mov %rcx, 0x50(%rsp)
	.globl system_call_fastpath
	AT 0xffffffff8100b05f, 0x90
system_call_fastpath:
	.loc ENTRY 522
	cmp $0x137, %rax
	ja 1f
	mov %r10, %rcx
	AT 0xffffffff8100b06b, 0x90
	.loc ENTRY 526
	call *sys_call_table(,%rax,8)
	.loc ENTRY 527
	mov %rax, 0x20(%rsp)
1:	mov 0x50(%rsp), %rcx
	swapgs
	sysretq
	.cfi_endproc
	.size system_call, . - system_call
.Lend_system_call:
	ROOM

RAW child_rip, 0xffffffff8100c1e0, ENTRY, 1250
	.cfi_startproc
	.cfi_undefined %rip
	push $0
	mov %rdi, %rax
	mov %rsi, %rdi
	AT 0xffffffff8100c208, 0x90
	.loc ENTRY 1255
	call *%rax
	mov %eax, %edi
	call do_exit
	ud2
	.cfi_endproc
	.size child_rip, . - child_rip
.Lend_child_rip:
	ROOM

FN start_secondary, 0xffffffff8101a000, SMPBOOT, 310, 0x18, rbx
	.cfi_undefined %rip
	CALLS cpu_idle, 0xffffffff8101a26e, 379
END start_secondary, rbx

/* It halts its CPU. */
FN crash_nmi_callback, 0xffffffff81030060, CRASH, 40, 0x0
	AT 0xffffffff81030090, 0x90
	.loc CRASH 62
	hlt
	.loc CRASH 63
	AT 0xffffffff81030096, 0x90
	jmp .-6
END crash_nmi_callback

/* mmap_sem is taken for reading without waiting, or else by waiting, and kept while the fault is handled. */
FN __do_page_fault, 0xffffffff8104a8c0, FAULT, 985, 0xd0, rbx, r12, r13, r14, r15
	mov %rdi, %r13
	mov %rsi, %r14
	mov %gs:0xcbc0, %rax
	mov TASK_MM(%rax), %rbx
	mov %rdx, %r15
	lea MMAP_SEM(%rbx), %rdi
	CALLS down_read_trylock, 0xffffffff8104a990, 1099
	test %eax, %eax
	je 2f
1:	lea MMAP_SEM(%rbx), %rax
	mov %rax, -0xe8(%rbp)
	mov %r15, %rsi
	mov %rbx, %rdi
	CALLS find_vma, 0xffffffff8104a9e8, 1124
	mov %rax, %r12
	mov %r15, %rdx
	mov %rax, %rsi
	mov %rbx, %rdi
	CALLS handle_mm_fault, 0xffffffff8104ace9, 1160
	mov -0xe8(%rbp), %rdi
	CALLS up_read, 0xffffffff8104ad80, 1190
	jmp 3f
2:	lea MMAP_SEM(%rbx), %rdi
	CALLS down_read, 0xffffffff8104ade4, 1110
	jmp 1b
3:
END __do_page_fault, r15, r14, r13, r12, rbx

FN __cond_resched, 0xffffffff81065e10, SCHED, 6722, 0x10
	CALLS schedule, 0xffffffff81065e4a, 6728
END __cond_resched

FN do_exit, 0xffffffff81076de0, EXIT, 905, 0x8, rbx
	AT 0xffffffff81076e20, 0x90
END do_exit, rbx

FN do_wait, 0xffffffff81077c40, EXIT, 1571, 0x68, rbx, r12, r13, r14, r15
	CALLS schedule, 0xffffffff81077de5, 1622
END do_wait, r15, r14, r13, r12, rbx

FN sys_wait4, 0xffffffff81077ed0, EXIT, 1747, 0x50, rbx, r12, r13
	CALLS do_wait, 0xffffffff81077f73, 1775
END sys_wait4, r13, r12, rbx

FN worker_thread, 0xffffffff81094d00, WORK, 311, 0x98, rbx, r12, r13, r14, r15
	CALLS schedule, 0xffffffff81094dbc, 331
	mov %r15, %rdi
	CALLS lru_add_drain_per_cpu, 0xffffffff81094e70, 289
END worker_thread, r15, r14, r13, r12, rbx

FN kthreadd, 0xffffffff8109ad20, KTHREAD, 216, 0x8, rbx
	CALLS schedule, 0xffffffff8109ae2d, 238
END kthreadd, rbx
FN kthread, 0xffffffff8109ae60, KTHREAD, 63, 0x88, rbx, r12
	AT 0xffffffff8109aef4, 0x90
	.loc KTHREAD 84
	call *%rax
	.loc KTHREAD 85
END kthread, r12, rbx

FN do_nanosleep, 0xffffffff8109f300, HRTIMER, 1468, 0x18, rbx, r12, r13, r14
	CALLS schedule, 0xffffffff8109f37b, 1479
END do_nanosleep, r14, r13, r12, rbx
FN hrtimer_nanosleep, 0xffffffff8109f8b0, HRTIMER, 1543, 0x88, rbx, r12, r13, r14
	CALLS do_nanosleep, 0xffffffff8109f924, 1557
END hrtimer_nanosleep, r14, r13, r12, rbx
FN sys_nanosleep, 0xffffffff8109fa00, HRTIMER, 1586, 0x18, rbx
	CALLS hrtimer_nanosleep, 0xffffffff8109fa5e, 1597
END sys_nanosleep, rbx

FN down_read, 0xffffffff810a0dc0, RWSEM, 20, 0x8, rbx
	mov %rdi, %rax
	xor %edi, %edi
	lock incq (%rax)
	jns 1f
	CALLS call_rwsem_down_read_failed, 0xffffffff810a0df0, 26
1:	nop
END down_read, rbx
FN down_read_trylock, 0xffffffff810a0e20, RWSEM, 40, 0x0
	mov (%rdi), %rax
1:	mov %rax, %rdx
	inc %rdx
	jle 2f
	lock cmpxchg %rdx, (%rdi)
	jne 1b
2:	not %rax
	shr $63, %rax
END down_read_trylock
FN up_read, 0xffffffff810a0e90, RWSEM, 73, 0x0
	lock decq (%rdi)
END up_read

FN notifier_call_chain, 0xffffffff810a1100, NOTIFIER, 72, 0x8, rbx, r12, r13
	AT 0xffffffff810a1133, 0x90
	.loc NOTIFIER 93
	call *%rax
	.loc NOTIFIER 94
END notifier_call_chain, r13, r12, rbx
FN atomic_notifier_call_chain, 0xffffffff810a1190, NOTIFIER, 192, 0x0
	CALLS notifier_call_chain, 0xffffffff810a11ba, 197
END atomic_notifier_call_chain
FN notify_die, 0xffffffff810a11d0, NOTIFIER, 551, 0x28
	CALLS atomic_notifier_call_chain, 0xffffffff810a11fe, 562
END notify_die

FN futex_wait_queue_me, 0xffffffff810aeb00, FUTEX, 1715, 0x0, rbx, r12, r13
	mov %rdi, %r12
	mov %rsi, %rbx
	CALLS schedule, 0xffffffff810aebba, 1746
END futex_wait_queue_me, r13, r12, rbx
FN futex_wait, 0xffffffff810afc00, FUTEX, 1849, 0x128, rbx, r12, r13, r14, r15
	lea -0xb0(%rbp), %rsi
	CALLS futex_wait_queue_me, 0xffffffff810afd18, 1886
END futex_wait, r15, r14, r13, r12, rbx
FN do_futex, 0xffffffff810b1400, FUTEX, 2626, 0x78, rbx, r12, r13, r14, r15
	CALLS futex_wait, 0xffffffff810b1465, 2640
END do_futex, r15, r14, r13, r12, rbx
FN sys_futex, 0xffffffff810b1ed0, FUTEX, 2680, 0x40, rbx, r12, r13
	CALLS do_futex, 0xffffffff810b1f4b, 2710
END sys_futex, r13, r12, rbx

FN crash_kexec, 0xffffffff810c5e10, KEXEC, 1075, 0xc8, rbx
	AT 0xffffffff810c5ea0, 0x90
	.loc KEXEC 1098
	nop
	AT 0xffffffff810c5eb2, 0x90
END crash_kexec, rbx

FN watchdog, 0xffffffff810e7b00, HUNG, 205, 0x68, rbx, r12, r13, r14, r15
	mov $hung_task_text, %rdi
	CALLS panic, 0xffffffff810e7d5c, 122
END watchdog, r15, r14, r13, r12, rbx

FN generic_file_aio_read, 0xffffffff8111f6a0, FILEMAP, 1297, 0xa8, rbx, r12, r13, r14, r15
	CALLS __cond_resched, 0xffffffff8111f9d1, 1030
END generic_file_aio_read, r15, r14, r13, r12, rbx

FN get_page_from_freelist, 0xffffffff8112d700, ALLOC, 1725, 0xc8, rbx, r12, r13, r14, r15
	mov %rdi, %rbx
	mov %rbx, %rdi
	CALLS zone_reclaim, 0xffffffff8112da5c, 1778
END get_page_from_freelist, r15, r14, r13, r12, rbx
FN __alloc_pages_nodemask, 0xffffffff8112f1c0, ALLOC, 2215, 0xe8, rbx, r12, r13, r14, r15
	CALLS get_page_from_freelist, 0xffffffff8112f3a3, 2250
END __alloc_pages_nodemask, r15, r14, r13, r12, rbx

FN __pagevec_release, 0xffffffff811366a0, SWAP, 552, 0x8, rbx
	mov %rdi, %rbx
	CALLS lru_add_drain, 0xffffffff811366b8, 554
END __pagevec_release, rbx

/* For each page: the lock of its zone, taken when the zone is another than the last page's. */
FN ____pagevec_lru_deactivate, 0xffffffff81136c00, SWAP, 412, 0x90, rbx, r12, r13, r14, r15
	mov %rdi, %r14
	xor %r12d, %r12d
	xor %r15d, %r15d
1:	mov 0x10(%r14,%r12,8), %rdi
	call page_zone
	mov %rax, %r13
	cmp %r15, %r13
	je 2f
	mov %r13, %rbx
	lea ZONE_LRU_LOCK(%rbx), %rdi
	CALLS _spin_lock_irq, 0xffffffff81136cc8, 425
	mov %rbx, %r15
2:	inc %r12
	cmp (%r14), %r12
	jb 1b
	lea ZONE_LRU_LOCK(%rbx), %rdi
	CALLS _spin_unlock_irq, 0xffffffff81136d40, 450
END ____pagevec_lru_deactivate, r15, r14, r13, r12, rbx
FN page_zone, 0xffffffff81136d80, SWAP, 60, 0x0
	mov (%rdi), %rax
	shr $0x36, %rax
END page_zone
FN lru_add_drain, 0xffffffff81136e00, SWAP, 491, 0x8, rbx
	mov %gs:0, %rdi
	add $0x131c0, %rdi
	CALLS ____pagevec_lru_deactivate, 0xffffffff81136e52, 480
END lru_add_drain, rbx
FN lru_add_drain_per_cpu, 0xffffffff81136ed0, SWAP, 501, 0x0
	CALLS lru_add_drain, 0xffffffff81136ede, 503
END lru_add_drain_per_cpu

FN invalidate_mapping_pages, 0xffffffff81137d20, TRUNCATE, 310, 0x138, rbx, r12, r13, r14, r15
	CALLS __pagevec_release, 0xffffffff81137e84, 352
END invalidate_mapping_pages, r15, r14, r13, r12, rbx

FN shrink_slab, 0xffffffff81138b70, VMSCAN, 197, 0x38, rbx, r12, r13, r14, r15
	AT 0xffffffff81138c97, 0x90
	.loc VMSCAN 263
	call *(%rbx)
	.loc VMSCAN 264
END shrink_slab, r15, r14, r13, r12, rbx
FN shrink_page_list, 0xffffffff81139200, VMSCAN, 626, 0xc8, rbx, r12, r13, r14, r15
	AT 0xffffffff81139440, 0x90
	.loc VMSCAN 655
	mov (%rbx), %rax
	AT 0xffffffff81139460, 0x90
END shrink_page_list, r15, r14, r13, r12, rbx
FN isolate_pages_global, 0xffffffff81139b80, VMSCAN, 1088, 0x58, rbx, r12, r13, r14
	AT 0xffffffff81139bf4, 0x90
	.loc VMSCAN 1005
	mov (%r13), %rax
	.loc VMSCAN 1006
	AT 0xffffffff81139c10, 0x90
END isolate_pages_global, r14, r13, r12, rbx

/* Pages leave the list under lru_lock; what becomes of them is seen to without it. */
FN shrink_inactive_list, 0xffffffff8113a500, VMSCAN, 1238, 0x188, rbx, r12, r13, r14, r15
	mov %rsi, %r12
	lea ZONE_LRU_LOCK(%r12), %r15
	mov %rdx, %r13
	mov %r15, %rdi
	CALLS _spin_lock_irq, 0xffffffff8113a5a8, 1262
	mov %r12, %rdi
	mov %r13, %rsi
	CALLS isolate_pages_global, 0xffffffff8113a5f3, 1271
	mov %rax, %r14
	mov %r15, %rdi
	CALLS _spin_unlock_irq, 0xffffffff8113a640, 1299
	mov %r14, %rdi
	CALLS shrink_page_list, 0xffffffff8113a671, 1304
END shrink_inactive_list, r15, r14, r13, r12, rbx
FN shrink_zone, 0xffffffff8113b100, VMSCAN, 1795, 0xb8, rbx, r12, r13, r14, r15
	mov %rsi, %rbx
	mov %rbx, %rsi
	CALLS shrink_inactive_list, 0xffffffff8113b2d9, 1680
END shrink_zone, r15, r14, r13, r12, rbx
FN zone_reclaim, 0xffffffff8113b8c0, VMSCAN, 2912, 0x88, rbx, r12, r13, r14, r15
	CALLS shrink_slab, 0xffffffff8113bb2d, 2884
END zone_reclaim, r15, r14, r13, r12, rbx
FN balance_pgdat, 0xffffffff8113bd00, VMSCAN, 2230, 0xf8, rbx, r12, r13, r14, r15
	CALLS shrink_zone, 0xffffffff8113c0a1, 2372
	CALLS shrink_slab, 0xffffffff8113c0e0, 2378
END balance_pgdat, r15, r14, r13, r12, rbx
FN kswapd, 0xffffffff8113c500, VMSCAN, 2484, 0x98, rbx, r12, r13, r14, r15
	CALLS schedule, 0xffffffff8113c55a, 2531
	CALLS balance_pgdat, 0xffffffff8113c5f6, 2549
END kswapd, r15, r14, r13, r12, rbx

FN handle_pte_fault, 0xffffffff8114a000, MEMORY, 3180, 0x88, rbx, r12, r13, r14, r15
	CALLS alloc_pages_vma, 0xffffffff8114a297, 2865
END handle_pte_fault, r15, r14, r13, r12, rbx
FN handle_mm_fault, 0xffffffff8114ab60, MEMORY, 3270, 0x48, rbx, r12, r13, r14, r15
	mov %rdi, %rbx
	mov %rsi, %r12
	mov %rdx, %r13
	CALLS handle_pte_fault, 0xffffffff8114ad4a, 3331
END handle_mm_fault, r15, r14, r13, r12, rbx
FN access_process_vm, 0xffffffff8114af00, MEMORY, 3609, 0x78, rbx, r12, r13, r14, r15
	mov %rdi, %r13
	lea MMAP_SEM(%r13), %rax
	CALLS call_rwsem_down_read_failed, 0xffffffff8114af7e, 3625
END access_process_vm, r15, r14, r13, r12, rbx
FN find_vma, 0xffffffff8114f0a0, MEMORY, 1580, 0x0
	mov (%rdi), %rax
END find_vma

FN sys_mprotect, 0xffffffff811522e0, MPROTECT, 285, 0x28, rbx, r12, r13, r14, r15
	mov %rdi, %r12
	mov %gs:0xcbc0, %rax
	mov TASK_MM(%rax), %rax
	add $MMAP_SEM, %rax
	movabs $0xffffffff00000001, %rdx
	lock xadd %rdx, (%rax)
	test %rdx, %rdx
	je 1f
	CALLS call_rwsem_down_write_failed, 0xffffffff81152386, 311
1:	mov %r12, %rdi
END sys_mprotect, r15, r14, r13, r12, rbx

FN alloc_pages_vma, 0xffffffff81167a00, MEMPOLICY, 1860, 0x18, rbx, r12, r13, r14, r15
	CALLS __alloc_pages_nodemask, 0xffffffff81167ad4, 1900
END alloc_pages_vma, r15, r14, r13, r12, rbx

FN do_sync_read, 0xffffffff81189600, RW, 320, 0xf8, rbx, r12, r13
	mov %rdi, %r12
	CALLS pipe_read, 0xffffffff8118966a, 334
	CALLS generic_file_aio_read, 0xffffffff811896a0, 336
END do_sync_read, r13, r12, rbx
FN vfs_read, 0xffffffff81189f00, RW, 350, 0x10, rbx, r12, r13, r14
	CALLS do_sync_read, 0xffffffff81189f80, 364
	CALLS seq_read, 0xffffffff81189fb5, 366
	CALLS proc_info_read, 0xffffffff8118a000, 368
END vfs_read, r14, r13, r12, rbx
FN sys_read, 0xffffffff8118a290, RW, 448, 0x28, rbx, r12, r13
	CALLS vfs_read, 0xffffffff8118a2f1, 458
END sys_read, r13, r12, rbx

FN pipe_wait, 0xffffffff81194000, PIPE, 110, 0x40, rbx, r12
	CALLS schedule, 0xffffffff8119406b, 119
END pipe_wait, r12, rbx
FN pipe_read, 0xffffffff811947a0, PIPE, 352, 0x88, rbx, r12, r13, r14, r15
	CALLS pipe_wait, 0xffffffff81194a76, 450
END pipe_read, r15, r14, r13, r12, rbx

FN shrink_icache_memory, 0xffffffff811a3c00, INODE, 515, 0x48, rbx, r12, r13, r14, r15
	CALLS invalidate_mapping_pages, 0xffffffff811a3d97, 480
END shrink_icache_memory, r15, r14, r13, r12, rbx

FN seq_read, 0xffffffff811ab900, SEQ, 71, 0x60, rbx, r12, r13, r14, r15
	AT 0xffffffff811aba41, 0x90
	.loc SEQ 209
	call *(%rax)
	.loc SEQ 210
END seq_read, r15, r14, r13, r12, rbx

FN ep_poll, 0xffffffff811d0c00, EPOLL, 1100, 0x78, rbx, r12, r13, r14, r15
	CALLS schedule_hrtimeout_range, 0xffffffff811d0ea9, 1154
END ep_poll, r15, r14, r13, r12, rbx
FN sys_epoll_wait, 0xffffffff811d1040, EPOLL, 1365, 0x30, rbx, r12, r13
	CALLS ep_poll, 0xffffffff811d10c5, 1399
END sys_epoll_wait, r13, r12, rbx

FN proc_info_read, 0xffffffff811f0100, PROC, 740, 0x20, rbx, r12, r13, r14
	CALLS proc_pid_cmdline, 0xffffffff811f018c, 762
END proc_info_read, r14, r13, r12, rbx
FN proc_pid_cmdline, 0xffffffff811f0f40, PROC, 250, 0x18, rbx, r12, r13
	CALLS access_process_vm, 0xffffffff811f0fb3, 270
END proc_pid_cmdline, r13, r12, rbx

/* /proc/PID/maps and its like: the process's mmap_sem is held while a part of it is written down. */
FN m_start, 0xffffffff811f3a00, TASK_MMU, 113, 0x10, rbx, r12, r13, r14
	mov %rdi, %r13
	mov %rsi, %r14
	mov %rax, %rbx
	lea MMAP_SEM(%rbx), %r12
	mov %r12, %rax
	lock incq (%rax)
	jns 1f
	CALLS call_rwsem_down_read_failed, 0xffffffff811f3aa1, 137
1:	mov %rbx, %rdi
	mov %r14, %rsi
	CALLS find_vma, 0xffffffff811f3ad0, 144
END m_start, r14, r13, r12, rbx

/* From an inline acquire to the slow path: the semaphore is in RAX, and nothing else may be lost. */
.macro SLOW name, address, to, ret, line
	RAW \name, \address, ASM_RWSEM, \line
	.cfi_startproc
	.set in_file, ASM_RWSEM
	push %rdi
	push %rsi
	push %rcx
	push %r8
	push %r9
	push %r10
	push %r11
	sub $0x20, %rsp
	.cfi_def_cfa_offset 0x60
	mov %rax, %rdi
	CALLS \to, \ret, \line + 3
	add $0x20, %rsp
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rcx
	pop %rsi
	pop %rdi
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size \name, . - \name
.Lend_\name:
	ROOM
.endm
SLOW call_rwsem_down_read_failed, 0xffffffff8128e840, rwsem_down_read_failed, 0xffffffff8128e85c, 41
SLOW call_rwsem_down_write_failed, 0xffffffff8128e86c, rwsem_down_write_failed, 0xffffffff8128e883, 52

FN intel_idle, 0xffffffff812e0900, IDLE, 180, 0x28, rbx, r12, r13
	AT 0xffffffff812e09ae, 0x90
	.loc IDLE 216
	mwait
	.loc IDLE 217
	AT 0xffffffff812e09b1, 0x90
END intel_idle, r13, r12, rbx
FN cpuidle_idle_call, 0xffffffff81427b80, CPUIDLE, 64, 0x8, rbx
	CALLS intel_idle, 0xffffffff81427c07, 98
END cpuidle_idle_call, rbx

FN rest_init, 0xffffffff815113a0, MAIN, 425, 0x8, rbx
	CALLS cpu_idle, 0xffffffff81511416, 447
END rest_init, rbx
/* The first function has no caller. */
FN start_kernel, 0xffffffff81511500, MAIN, 540, 0x28, rbx, r12
	.cfi_undefined %rip
	CALLS rest_init, 0xffffffff81511930, 700
END start_kernel, r12, rbx

FN panic, 0xffffffff81527000, PANIC, 60, 0xc8, rbx
	CALLS crash_kexec, 0xffffffff8152708b, 90
END panic, rbx

/* The stack is changed between the two last pushes and the call: who comes back finds his own. */
FN schedule, 0xffffffff81527480, SCHED, 5650, 0x88, rbx, r12, r13, r14, r15
	AT 0xffffffff815278a4, 0x90
	.loc SCHED 3130
	pushfq
	push %rbp
	mov %rsp, TASK_SP(%rdi)
	mov TASK_SP(%rsi), %rsp
	.loc SCHED 3132
	AT 0xffffffff815278bd, 0x90
	call __switch_to
	.globl thread_return
thread_return:
	.loc SCHED 3135
	mov %gs:0xcbc0, %rsi
	pop %rbp
	popfq
END schedule, r15, r14, r13, r12, rbx
FN __switch_to, 0xffffffff81528400, PROCESS, 380, 0x0
	mov %rdi, %rax
END __switch_to

FN schedule_hrtimeout_range, 0xffffffff815294f0, HRTIMER, 1680, 0x98, rbx, r12, r13, r14
	CALLS schedule, 0xffffffff81529602, 1722
END schedule_hrtimeout_range, r14, r13, r12, rbx

/* The waiter goes to the end of the list, and the task sleeps until it has been taken off again. */
FN rwsem_down_failed_common, 0xffffffff81529ee0, RWSEM, 146, 0x28, rbx, r12, r13, r14, r15
	mov %rsi, %r12
	lea 8(%rdi), %rbx
	mov %rdx, %r13
	mov %gs:0xcbc0, %r14
	lea 8(%rbx), %rax
	mov 8(%rax), %rcx
	mov %rax, (%r12)
	mov %rcx, 8(%r12)
	mov %r14, 0x10(%r12)
	mov %r12, (%rcx)
	mov %r12, 8(%rax)
1:	cmpq $0, 0x10(%r12)
	je 2f
	CALLS schedule, 0xffffffff81529f85, 198
	jmp 1b
2:
END rwsem_down_failed_common, r15, r14, r13, r12, rbx
FN rwsem_down_read_failed, 0xffffffff8152a090, RWSEM, 213, 0x28, rbx
	lea -0x30(%rbp), %rsi
	movabs $-1, %rdx
	CALLS rwsem_down_failed_common, 0xffffffff8152a0b6, 218
END rwsem_down_read_failed, rbx
FN rwsem_down_write_failed, 0xffffffff8152a0c0, RWSEM, 226, 0x28, rbx
	lea -0x30(%rbp), %rsi
	movabs $0xffffffff00000000, %rdx
	CALLS rwsem_down_failed_common, 0xffffffff8152a0e3, 231
END rwsem_down_write_failed, rbx

/* The ticket lock: a ticket is drawn from the high half, and waited for until the low half shows it. */
RAW _spin_lock_irq, 0xffffffff8152a210, SPIN, 70
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	.byte 0x0f, 0x1f, 0x44, 0, 0	/* nopl 0(%rax,%rax,1) */
	cli
	.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0	/* nopw 0(%rax,%rax,1) */
	.loc ASMSPIN 70
	mov $0x10000, %eax
	lock xadd %eax, (%rdi)
	movzwl %ax, %edx
	shr $16, %eax
1:	cmp %eax, %edx
	je 2f
	pause
	movzwl (%rdi), %edx
	jmp 1b
2:	.loc SPIN 74
	pop %rbp
	.cfi_def_cfa %rsp, 8
	ret
	.cfi_endproc
	.size _spin_lock_irq, . - _spin_lock_irq
.Lend__spin_lock_irq:
	ROOM
FN _spin_unlock_irq, 0xffffffff8152a380, SPIN, 190, 0x0
	incw (%rdi)
	sti
END _spin_unlock_irq

EXCEPTION page_fault, 0xffffffff8152a7b0, 1480, do_page_fault, 0xffffffff8152a815
EXCEPTION nmi, 0xffffffff8152aa60, 1537, do_nmi, 0xffffffff8152aae0
FN do_nmi, 0xffffffff8152b3c0, TRAPS, 430, 0x28, rbx, r12
	CALLS notify_die, 0xffffffff8152b3fb, 440
END do_nmi, r12, rbx
FN do_page_fault, 0xffffffff8152d420, FAULT, 1200, 0x10, rbx, r12
	mov %rdi, %rbx
	mov %cr2, %rdx
	CALLS __do_page_fault, 0xffffffff8152d45e, 1218
END do_page_fault, r12, rbx

AT 0xffffffff8152e000
.globl _etext
_etext:

.section .rodata
hung_task_text:
	.asciz "hung_task: blocked tasks"

.section .debug_info
	.byte 0
units_end:

.section .note.GNU-stack,"",@progbits
