"""Which calls of the kernel a program may make: what Python, its extensions and their threads and children need.

Whatever is not named here does not exist for the code (`ENOSYS`), calls of future kernels included; libraries know how
to do without a call that is missing. What a curious program could want and must not have answers `EPERM`.
"""

from __future__ import annotations

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr
fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64
getxattr ioctl lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat newfstatat open openat openat2 pipe
pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename
renameat renameat2 rmdir sendfile sendfile64 setxattr splice stat stat64 statfs statfs64 statx symlink symlinkat sync
sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat utimes vmsplice write writev
cachestat
"""

_MEMORY = """
brk madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock
munlockall munmap pkey_alloc pkey_free pkey_mprotect
"""

_PROCESSES = """
alarm arch_prctl capget execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getegid geteuid
getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid
gettid getuid kill pause pidfd_open pidfd_send_signal prctl restart_syscall rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area
set_tid_address setgid setgroups setitimer setpgid setregid setresgid setresuid setreuid setrlimit setsid setuid
sigaltstack signalfd signalfd4 sysinfo tgkill time times tkill ugetrlimit uname vfork wait4 waitid waitpid
"""

_TIME_AND_WAITING = """
clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
epoll_wait epoll_wait_old eventfd eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake getrandom gettimeofday
nanosleep poll ppoll pselect6 select timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime
"""

_SOCKETS = """
accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmsg send sendmmsg
sendmsg sendto setsockopt shutdown socketpair
"""

ALLOWED = tuple(" ".join((_FILES, _MEMORY, _PROCESSES, _TIME_AND_WAITING, _SOCKETS)).split())
"""Allowed with any argument. `clone`, `personality`, `prlimit64`, `setpriority` and `socket` are allowed with some."""

_POWERS = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init fanotify_mark finit_module
fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
kexec_file_load kexec_load keyctl listmount lookup_dcookie mbind memfd_create memfd_secret migrate_pages
modify_ldt mount mount_setattr
move_mount move_pages name_to_handle_at open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root
process_madvise process_mrelease process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key
set_mempolicy setdomainname sethostname setns settimeofday statmount swapoff swapon syslog umount umount2 unshare
userfaultfd vhangup
"""

FORKING = ("setns", "capset")
"""Beside that, what the process from which programs are forked needs: its children join a jail, then give up power."""

FORBIDDEN = tuple(_POWERS.split())
"""Answered with `EPERM`. `memfd_create` is among them: its files belong to no folder, so no limit would count them."""

FAKED = ("chmod", "fchmod", "fchmodat", "fchmodat2", "futimesat", "utime", "utimensat", "utimes")
"""Answered as if done where paths are the host's own: Landlock has no say in rights and times, which the owner of a
file may change; but programs that copy files set them and would fail."""

_NOT_OF_LANDLOCK = """
chown fchown fchownat lchown socket
"""

FORBIDDEN_OUTSIDE = tuple(_NOT_OF_LANDLOCK.split())
"""Answered with `EPERM` there: who owns a file, what changes in a folder, any way to another process."""

NO_ATTRIBUTES = tuple(f"{prefix}{verb}xattr" for verb in ("get", "list", "remove", "set") for prefix in ("", "l", "f"))
"""Answered with `ENOTSUP` there, as by a file system without extended attributes."""

NARROWED = ("ioctl", "socketpair")
"""Allowed there with some arguments only."""
