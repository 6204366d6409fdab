// SPDX-License-Identifier: MIT
// x86-64: offsets shared by assembly and C++, and the pictures of the frames they address.
#pragma once

// struct context
#define PIRN_CONTEXT_PC 0
#define PIRN_CONTEXT_SP 8
#define PIRN_CONTEXT_SIZE 16

// What switch_to leaves on a stack that it parks, from the saved sp upwards:
//
//   sp + 0     rbx, which clang may use as a second frame pointer
//   sp + 8     the frame pointer (rbp)
//   sp + 16    128 bytes of red zone of the function that called switch_to
//   sp + 144   that function's own sp
#define PIRN_PARKED_FP 8
#define PIRN_RED_ZONE_BYTES 128
#define PIRN_PARKED_BYTES 144

// Bytes of instructions between the resume address and the end of switch_to:
// endbr64 (under its macro, 4), popq %rbx (1), popq %rbp (1), leaq 128(%rsp),%rsp (8).
#if defined(__CET__) && (__CET__ & 1)
#define PIRN_RESUME_BYTES 14
#else
#define PIRN_RESUME_BYTES 10
#endif

// The first frame, from its sp upwards (sp is 16-aligned):
//
//   sp + 0     the entry function
//   sp + 8     0: the end of the chain of frame pointers
#define PIRN_FIRST_FRAME_ENTRY 0
#define PIRN_FIRST_FRAME_BYTES 16

// struct resume_point
#define PIRN_RESUME_POINT_PC 0
#define PIRN_RESUME_POINT_SP 8
#define PIRN_RESUME_POINT_FP 16

// struct segment, growth and growing_thread
#define PIRN_SEGMENT_FP 0
#define PIRN_SEGMENT_RA 8
#define PIRN_SEGMENT_SP 16
#define PIRN_SEGMENT_LIMIT_BEFORE 24
#define PIRN_SEGMENT_BELOW 32
#define PIRN_SEGMENT_NEXT 40
#define PIRN_SEGMENT_ROOM 48
#define PIRN_SEGMENT_LIMIT 56
#define PIRN_GROWTH_LIMIT 0
#define PIRN_GROWTH_HOPS 8
#define PIRN_THREAD_CUR 0
#define PIRN_THREAD_SEGMENTS 8
#define PIRN_THREAD_HOPS_LEFT 16
#define PIRN_THREAD_G0_SP 32

// Below a call of code that did not go through the pass.
#define PIRN_FOREIGN_BYTES 65536
// What morestack0 stands for: a frame up to this, no arguments on the stack.
#define PIRN_COMMON_NEED_BYTES 16384
// The limit word, from the thread's control block (%fs) on.
#define PIRN_LIMIT_WORD 0x70
// A limit that no check passes: the goroutine is asked to give way.
#define PIRN_GIVE_WAY -1
// Right before the entry of a function that went through the pass.
#define PIRN_MARKER 0x504952a5
// Stack below malloc, free, new and delete, as measured with glibc 2.36, with a reserve.
#define PIRN_ALLOCATION_NEED_BYTES 512
