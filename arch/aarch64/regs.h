// SPDX-License-Identifier: MIT
// aarch64: offsets shared by assembly and C++, and the pictures of the frames they address.
#pragma once

// struct context
#define PIRN_CONTEXT_PC 0
#define PIRN_CONTEXT_SP 8
#define PIRN_CONTEXT_SIZE 16

// What switch_to leaves on a stack that it parks, from the saved sp upwards (there is no red zone
// to step over; 16 bytes, because sp must stay aligned):
//
//   sp + 0     the frame pointer (x29)
//   sp + 8     x19, which clang may use as a second frame pointer
//   sp + 16    the sp of the function that called switch_to
#define PIRN_PARKED_FP 0
#define PIRN_PARKED_BYTES 16

// Bytes of instructions between the resume address and the end of switch_to:
// bti j (under its macro, 4), ldp x29, x19, [sp], #16 (4).
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define PIRN_RESUME_BYTES 8
#else
#define PIRN_RESUME_BYTES 4
#endif

// The first frame, from its sp upwards (sp is 16-aligned):
//
//   sp + 0     the entry function
//   sp + 8     unused
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
// The limit word, from the thread's control block (tpidr_el0) on.
#define PIRN_LIMIT_WORD 8
// A limit that no check passes: the goroutine is asked to give way.
#define PIRN_GIVE_WAY -1
// Right before the entry of a function that went through the pass: a reserved encoding.
#define PIRN_MARKER 0x01504952
// Stack below malloc, free, new and delete, as measured with glibc 2.36, with a reserve.
#define PIRN_ALLOCATION_NEED_BYTES 896
