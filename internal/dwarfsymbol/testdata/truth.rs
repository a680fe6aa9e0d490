// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

#![allow(named_asm_labels)]

use std::arch::asm;

#[inline(always)]
fn leaf(n: u64) -> u64 {
    unsafe { asm!(".globl in_leaf", "in_leaf: nop") }; // leaf
    n * 3
}

#[inline(always)]
fn middle(n: u64) -> u64 {
    let r = leaf(n); // middle calls leaf
    unsafe { asm!(".globl in_middle", "in_middle: nop") }; // middle
    r + 1
}

#[inline(never)]
fn outer(n: u64) -> u64 {
    unsafe { asm!(".globl in_outer", "in_outer: nop") }; // outer
    if n > 7 {
        return middle(n * 2); // outer calls middle
    }
    n
}

fn main() {
    println!("{}", outer(std::env::args().count() as u64));
}
