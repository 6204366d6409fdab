// SPDX-License-Identifier: MIT
// The table of gates: the foreign calls that may block, which the run time stands in front of.
//
// Code that went through the pass calls a foreign function g by the name `__split$g` (or
// `__splita$g`); where the run time defines these, it is called instead (gates.cc). An entry is
//
//   GATE(name, parameters, stack, blocks)             declared by a header
//   GATE_AS(name, type, parameters, stack, blocks)    by no header, or as a variadic function
//   GATE_CXX(name, symbol, type, parameters, stack, blocks)   of that symbol
//   GATE_VARIADIC(name, result, (parameters), last, function, (arguments))
//                                                     `function` takes the va_list `list` instead
//
// `stack` is small where the pass knows the function to need little (split/needs.cc), else large.
// `blocks` is a function of the call's arguments that says how long it may take: see how.
//
// Gates of functions that take and release what a thread or goroutine holds: gates_lock.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <mqueue.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

namespace pirn::rt {

// How a call may block. A gate of one that may_block gives its P away when it turns out to be slow;
// of one that is_long, at once.
enum class how { straight, may_block, is_long };

// Types of functions that no header declares, or that are variadic there: on these CPUs an
// argument is passed alike whether it has a name or not.
namespace type {
using open = int(const char*, int, mode_t);
using openat = int(int, const char*, int, mode_t);
using open_2 = int(const char*, int);
using openat_2 = int(int, const char*, int);
using fcntl = int(int, int, long);
using syscall = long(long, long, long, long, long, long, long);
using read_chk = ssize_t(int, void*, size_t, size_t);
using pread_chk = ssize_t(int, void*, size_t, off_t, size_t);
using recv_chk = ssize_t(int, void*, size_t, size_t, int);
using recvfrom_chk = ssize_t(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
using poll_chk = int(pollfd*, nfds_t, int, size_t);
using ppoll_chk = int(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
using epoll_pwait2 = int(int, epoll_event*, int, const timespec*, const sigset_t*);
using fread_chk = size_t(void*, size_t, size_t, size_t, FILE*);
using fgets_chk = char*(char*, size_t, int, FILE*);
using uflow = int(FILE*);
using overflow = int(FILE*, int);
using vprintf_chk = int(int, const char*, va_list);
using vfprintf_chk = int(FILE*, int, const char*, va_list);
using vdprintf_chk = int(int, int, const char*, va_list);
using vscanf = int(const char*, va_list);
using vfscanf = int(FILE*, const char*, va_list);
using guard_acquire = int(std::uint64_t*);
using guard_end = void(std::uint64_t*);
using thread_join = void(void*);
using condition_wait = void(void*, void*);
using sleep_for = void(long, long);
using futex_wait_until = bool(void*, unsigned*, unsigned, bool, long, long);
}  // namespace type

}  // namespace pirn::rt

#define PIRN_GATES_OF_DESCRIPTORS(GATE, GATE_AS)                              \
    GATE(read, 3, small, may_block)                                           \
    GATE(readv, 3, small, may_block)                                          \
    GATE(pread, 4, large, may_block)                                          \
    GATE(pread64, 4, large, may_block)                                        \
    GATE(preadv, 4, large, may_block)                                         \
    GATE(preadv64, 4, large, may_block)                                       \
    GATE(write, 3, small, may_block)                                          \
    GATE(writev, 3, small, may_block)                                         \
    GATE(pwrite, 4, large, may_block)                                         \
    GATE(pwrite64, 4, large, may_block)                                       \
    GATE(pwritev, 4, large, may_block)                                        \
    GATE(pwritev64, 4, large, may_block)                                      \
    GATE_AS(__read_chk, type::read_chk, 4, large, may_block)                  \
    GATE_AS(__pread_chk, type::pread_chk, 5, large, may_block)                \
    GATE_AS(__pread64_chk, type::pread_chk, 5, large, may_block)              \
    GATE_AS(open, type::open, 3, large, may_block)                            \
    GATE_AS(open64, type::open, 3, large, may_block)                          \
    GATE_AS(openat, type::openat, 4, large, may_block)                        \
    GATE_AS(openat64, type::openat, 4, large, may_block)                      \
    GATE_AS(__open_2, type::open_2, 2, large, may_block)                      \
    GATE_AS(__open64_2, type::open_2, 2, large, may_block)                    \
    GATE_AS(__openat_2, type::openat_2, 3, large, may_block)                  \
    GATE_AS(__openat64_2, type::openat_2, 3, large, may_block)                \
    GATE(creat, 2, large, may_block)                                          \
    GATE(creat64, 2, large, may_block)                                        \
    GATE(fsync, 1, large, may_block)                                          \
    GATE(fdatasync, 1, large, may_block)                                      \
    GATE(flock, 2, large, lock_of_file)                                       \
    GATE(lockf, 3, large, lock_of_range)                                      \
    GATE(lockf64, 3, large, lock_of_range)                                    \
    GATE_AS(fcntl, type::fcntl, 3, large, command_of_file)                    \
    GATE_AS(fcntl64, type::fcntl, 3, large, command_of_file)                  \
    GATE(connect, 3, large, may_block)                                        \
    GATE(accept, 3, large, may_block)                                         \
    GATE(accept4, 4, small, may_block)                                        \
    GATE(recv, 4, small, may_block)                                           \
    GATE(recvfrom, 6, large, may_block)                                       \
    GATE(recvmsg, 3, small, may_block)                                        \
    GATE(send, 4, small, may_block)                                           \
    GATE(sendto, 6, large, may_block)                                         \
    GATE(sendmsg, 3, small, may_block)                                        \
    GATE_AS(__recv_chk, type::recv_chk, 5, large, may_block)                  \
    GATE_AS(__recvfrom_chk, type::recvfrom_chk, 7, large, may_block)          \
    GATE(poll, 3, large, until_ms)                                            \
    GATE(ppoll, 4, large, until_timespec)                                     \
    GATE_AS(__poll_chk, type::poll_chk, 4, large, until_ms)                   \
    GATE_AS(__ppoll_chk, type::ppoll_chk, 5, large, until_timespec)           \
    GATE(select, 5, large, until_select)                                      \
    GATE(pselect, 6, large, until_select)                                     \
    GATE(epoll_wait, 4, small, until_epoll_ms)                                \
    GATE(epoll_pwait, 5, large, until_epoll_ms)                               \
    GATE_AS(epoll_pwait2, type::epoll_pwait2, 5, large, until_epoll_timespec) \
    GATE(mq_send, 4, large, may_block)                                        \
    GATE(mq_receive, 4, large, may_block)                                     \
    GATE(mq_timedsend, 5, large, may_block)                                   \
    GATE(mq_timedreceive, 5, large, may_block)                                \
    GATE(msgsnd, 4, large, may_block)                                         \
    GATE(msgrcv, 5, large, may_block)                                         \
    GATE(semop, 3, large, may_block)                                          \
    GATE(semtimedop, 4, large, may_block)

#define PIRN_GATES_OF_WAITS(GATE, GATE_AS)                    \
    GATE(nanosleep, 2, large, is_long)                        \
    GATE(clock_nanosleep, 4, large, is_long)                  \
    GATE(usleep, 1, large, is_long)                           \
    GATE(sleep, 1, large, is_long)                            \
    GATE(thrd_sleep, 2, large, is_long)                       \
    GATE(wait, 1, large, is_long)                             \
    GATE(wait3, 3, large, until_child)                        \
    GATE(waitpid, 3, large, until_child_of_pid)               \
    GATE(wait4, 4, large, until_child_of_pid)                 \
    GATE(waitid, 4, large, until_child_of_id)                 \
    GATE(system, 1, large, is_long)                           \
    GATE(pclose, 1, large, is_long)                           \
    GATE(pause, 0, large, is_long)                            \
    GATE(sigsuspend, 1, large, is_long)                       \
    GATE(sigwait, 2, large, is_long)                          \
    GATE(sigwaitinfo, 2, large, is_long)                      \
    GATE(sigtimedwait, 3, large, until_timespec)              \
    GATE(getaddrinfo, 4, large, may_block)                    \
    GATE(getnameinfo, 7, large, may_block)                    \
    GATE(gethostbyname, 1, large, may_block)                  \
    GATE(gethostbyname2, 2, large, may_block)                 \
    GATE(gethostbyaddr, 3, large, may_block)                  \
    GATE(gethostbyname_r, 6, large, may_block)                \
    GATE(pthread_join, 2, large, is_long)                     \
    GATE(pthread_timedjoin_np, 3, large, is_long)             \
    GATE(pthread_clockjoin_np, 4, large, is_long)             \
    GATE(pthread_cond_wait, 2, large, is_long)                \
    GATE(pthread_cond_timedwait, 3, large, is_long)           \
    GATE(pthread_cond_clockwait, 4, large, is_long)           \
    GATE(pthread_barrier_wait, 1, large, is_long)             \
    GATE(thrd_join, 2, large, is_long)                        \
    GATE(cnd_wait, 2, large, is_long)                         \
    GATE(cnd_timedwait, 3, large, is_long)                    \
    GATE_AS(syscall, type::syscall, 7, small, number_of_call)

// What the C++ library's headers call of the library itself.
#define PIRN_GATES_OF_CXX(GATE_CXX)                                                               \
    GATE_CXX(thread_join, "_ZNSt6thread4joinEv", type::thread_join, 1, large, is_long)            \
    GATE_CXX(condition_wait, "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE",         \
             type::condition_wait, 2, large, is_long)                                             \
    GATE_CXX(sleep_for,                                                                           \
             "_ZNSt11this_thread11__sleep_forENSt6chrono8durationIlSt5ratioILl1ELl1EEEENS1_IlS2_" \
             "ILl1ELl1000000000EEEE",                                                             \
             type::sleep_for, 2, large, is_long)                                                  \
    GATE_CXX(futex_wait_until,                                                                    \
             "_ZNSt28__atomic_futex_unsigned_base19_M_futex_wait_untilEPjjbNSt6chrono8durationI"  \
             "lSt5ratioILl1ELl1EEEENS2_IlS3_ILl1ELl1000000000EEEE",                               \
             type::futex_wait_until, 6, large, is_long)                                           \
    GATE_CXX(futex_wait_until_steady,                                                             \
             "_ZNSt28__atomic_futex_unsigned_base26_M_futex_wait_until_steadyEPjjbNSt6chrono8"    \
             "durationIlSt5ratioILl1ELl1EEEENS2_IlS3_ILl1ELl1000000000EEEE",                      \
             type::futex_wait_until, 6, large, is_long)

// Of the functions on streams, those that move more than a character, and of the others what they
// call when the buffer is empty or full. Characters that are in the buffer go straight through.
#define PIRN_GATES_OF_STREAMS(GATE, GATE_AS)                         \
    GATE(fread, 4, large, may_block)                                 \
    GATE(fwrite, 4, large, may_block)                                \
    GATE(fgets, 3, large, may_block)                                 \
    GATE(fputs, 2, large, may_block)                                 \
    GATE(puts, 1, large, may_block)                                  \
    GATE(getline, 3, large, may_block)                               \
    GATE(getdelim, 4, large, may_block)                              \
    GATE(__getdelim, 4, large, may_block)                            \
    GATE(fgetc, 1, large, next_of_stream)                            \
    GATE(getc, 1, large, next_of_stream)                             \
    GATE(getchar, 0, large, next_of_stdin)                           \
    GATE(fputc, 2, large, room_of_stream)                            \
    GATE(putc, 2, large, room_of_stream)                             \
    GATE(putchar, 1, large, room_of_stdout)                          \
    GATE_AS(__uflow, type::uflow, 1, large, may_block)               \
    GATE_AS(__overflow, type::overflow, 2, large, may_block)         \
    GATE(fflush, 1, large, may_block)                                \
    GATE(fopen, 2, large, may_block)                                 \
    GATE(fopen64, 2, large, may_block)                               \
    GATE(fclose, 1, large, may_block)                                \
    GATE_AS(__fread_chk, type::fread_chk, 5, large, may_block)       \
    GATE_AS(__fgets_chk, type::fgets_chk, 4, large, may_block)       \
    GATE(vprintf, 2, large, may_block)                               \
    GATE(vfprintf, 3, large, may_block)                              \
    GATE(vdprintf, 3, large, may_block)                              \
    GATE_AS(__vprintf_chk, type::vprintf_chk, 3, large, may_block)   \
    GATE_AS(__vfprintf_chk, type::vfprintf_chk, 4, large, may_block) \
    GATE_AS(__vdprintf_chk, type::vdprintf_chk, 4, large, may_block) \
    GATE_AS(vscanf, type::vscanf, 2, large, may_block)               \
    GATE_AS(vfscanf, type::vfscanf, 3, large, may_block)             \
    GATE_AS(__isoc99_vscanf, type::vscanf, 2, large, may_block)      \
    GATE_AS(__isoc99_vfscanf, type::vfscanf, 3, large, may_block)    \
    GATE_AS(__isoc23_vscanf, type::vscanf, 2, large, may_block)      \
    GATE_AS(__isoc23_vfscanf, type::vfscanf, 3, large, may_block)

#define PIRN_GATES_VARIADIC(GATE_VARIADIC)                                                         \
    GATE_VARIADIC(printf, int, (const char* form), form, vprintf, (form, list))                    \
    GATE_VARIADIC(fprintf, int, (FILE * to, const char* form), form, vfprintf, (to, form, list))   \
    GATE_VARIADIC(dprintf, int, (int to, const char* form), form, vdprintf, (to, form, list))      \
    GATE_VARIADIC(__printf_chk, int, (int flag, const char* form), form, __vprintf_chk,            \
                  (flag, form, list))                                                              \
    GATE_VARIADIC(__fprintf_chk, int, (FILE * to, int flag, const char* form), form,               \
                  __vfprintf_chk, (to, flag, form, list))                                          \
    GATE_VARIADIC(__dprintf_chk, int, (int to, int flag, const char* form), form, __vdprintf_chk,  \
                  (to, flag, form, list))                                                          \
    GATE_VARIADIC(scanf, int, (const char* form), form, vscanf, (form, list))                      \
    GATE_VARIADIC(fscanf, int, (FILE * from, const char* form), form, vfscanf, (from, form, list)) \
    GATE_VARIADIC(__isoc99_scanf, int, (const char* form), form, __isoc99_vscanf, (form, list))    \
    GATE_VARIADIC(__isoc99_fscanf, int, (FILE * from, const char* form), form, __isoc99_vfscanf,   \
                  (from, form, list))
// Since glibc 2.38.
#define PIRN_GATES_VARIADIC_23(GATE_VARIADIC)                                                      \
    GATE_VARIADIC(__isoc23_scanf, int, (const char* form), form, __isoc23_vscanf, (form, list))    \
    GATE_VARIADIC(__isoc23_fscanf, int, (FILE * from, const char* form), form, __isoc23_vfscanf,   \
                  (from, form, list))

// Functions that take what a goroutine or thread then holds, with the one to try first, which never
// blocks; those that only try; and those that give back.
#define PIRN_GATES_OF_LOCKS(TAKES, TRIES, GIVES)                   \
    TAKES(pthread_mutex_lock, 1, pthread_mutex_trylock)            \
    TAKES(pthread_mutex_timedlock, 2, pthread_mutex_trylock)       \
    TAKES(pthread_mutex_clocklock, 3, pthread_mutex_trylock)       \
    TRIES(pthread_mutex_trylock)                                   \
    GIVES(pthread_mutex_unlock)                                    \
    TAKES(mtx_lock, 1, mtx_trylock)                                \
    TAKES(mtx_timedlock, 2, mtx_trylock)                           \
    TRIES(mtx_trylock)                                             \
    GIVES(mtx_unlock)                                              \
    TAKES(pthread_rwlock_rdlock, 1, pthread_rwlock_tryrdlock)      \
    TAKES(pthread_rwlock_timedrdlock, 2, pthread_rwlock_tryrdlock) \
    TAKES(pthread_rwlock_clockrdlock, 3, pthread_rwlock_tryrdlock) \
    TRIES(pthread_rwlock_tryrdlock)                                \
    TAKES(pthread_rwlock_wrlock, 1, pthread_rwlock_trywrlock)      \
    TAKES(pthread_rwlock_timedwrlock, 2, pthread_rwlock_trywrlock) \
    TAKES(pthread_rwlock_clockwrlock, 3, pthread_rwlock_trywrlock) \
    TRIES(pthread_rwlock_trywrlock)                                \
    GIVES(pthread_rwlock_unlock)                                   \
    TAKES(flockfile, 1, ftrylockfile)                              \
    TRIES(ftrylockfile)                                            \
    GIVES(funlockfile)                                             \
    TAKES(sem_wait, 1, sem_trywait)                                \
    TAKES(sem_timedwait, 2, sem_trywait)                           \
    TAKES(sem_clockwait, 3, sem_trywait)

// Written out in gates_lock.cc.
#define PIRN_GATES_OF_ONCE(GATE, GATE_AS)                \
    GATE(pthread_once, 2)                                \
    GATE(call_once, 2)                                   \
    GATE_AS(__cxa_guard_acquire, type::guard_acquire, 1) \
    GATE_AS(__cxa_guard_release, type::guard_end, 1)     \
    GATE_AS(__cxa_guard_abort, type::guard_end, 1)
