/* Copyright The ebpf_profiler authors */
/* SPDX-License-Identifier: Apache-2.0 */

	.text

/* A frame that is described. */
	.globl	described
	.type	described, @function
described:
	.cfi_startproc
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	sub	$48, %rsp
	.cfi_adjust_cfa_offset 48
	call	burn
	add	$48, %rsp
	.cfi_adjust_cfa_offset -48
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	described, . - described

/* One that is not, which returns right behind the call. */
	.globl	returning
	.type	returning, @function
returning:
	sub	$56, %rsp
	call	burn
	add	$56, %rsp
	ret
	.size	returning, . - returning

/* One that is not, and does something else first. */
	.globl	undescribed
	.type	undescribed, @function
undescribed:
	sub	$56, %rsp
	call	burn
	nop
	add	$56, %rsp
	ret
	.size	undescribed, . - undescribed

/* Those, and what looks like a frame behind their frame pointer. */
	.macro	mislead
	push	%rbp
	sub	$48, %rsp
	lea	16(%rsp), %rbp
	lea	24(%rsp), %rax
	mov	%rax, 16(%rsp)
	lea	decoy(%rip), %rax
	mov	%rax, 24(%rsp)
	mov	%rax, 32(%rsp)
	call	burn
	.endm

	.globl	returning_misleading
	.type	returning_misleading, @function
returning_misleading:
	mislead
	add	$48, %rsp
	pop	%rbp
	ret
	.size	returning_misleading, . - returning_misleading

	.globl	misleading
	.type	misleading, @function
misleading:
	mislead
	nop
	add	$48, %rsp
	pop	%rbp
	ret
	.size	misleading, . - misleading

/* One that is not described and keeps a frame pointer. */
	.globl	framed
	.type	framed, @function
framed:
	push	%rbp
	mov	%rsp, %rbp
	sub	$48, %rsp
	call	burn
	leave
	ret
	.size	framed, . - framed

	.section .note.GNU-stack, "", @progbits
