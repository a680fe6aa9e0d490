// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Burns a CPU in Rust, in the way that the argument says.
use std::io::Write;

// Keeps the compiler from knowing a value (std::hint::black_box is from Rust 1.66).
#[inline(never)]
fn black_box<T>(value: T) -> T {
    unsafe {
        let copy = std::ptr::read_volatile(&value);
        std::mem::forget(value);
        copy
    }
}

#[no_mangle]
#[inline(never)]
pub fn burn() {
    loop {
        for i in 0..1_000_000u64 {
            unsafe { std::ptr::read_volatile(&i) };
        }
    }
}

#[no_mangle]
#[inline(never)]
pub fn burn_briefly() {
    for i in 0..5000u64 {
        unsafe { std::ptr::read_volatile(&i) };
    }
}

#[no_mangle]
#[inline(never)]
pub fn link(n: u32) -> u32 {
    let some = [n; 30];
    black_box(&some);
    if n == 0 {
        burn();
        return 0;
    }
    link(n - 1) + black_box(some)[(n % 30) as usize]
}

#[no_mangle]
#[inline(never)]
pub fn run_sort() {
    let mut numbers = vec![3, 1, 2];
    numbers.sort_by(|a, b| {
        burn();
        a.cmp(b)
    });
    black_box(&numbers);
}

trait Speak {
    fn speak(&self) -> u32;
}

struct Dog;

impl Speak for Dog {
    #[inline(never)]
    fn speak(&self) -> u32 {
        burn();
        black_box(1)
    }
}

#[no_mangle]
#[inline(never)]
pub fn run_dynamic() {
    let animal: Box<dyn Speak> = black_box(Box::new(Dog));
    black_box(animal.speak());
}

struct Guard;

impl Drop for Guard {
    #[inline(never)]
    fn drop(&mut self) {
        burn_briefly();
    }
}

#[no_mangle]
#[inline(never)]
pub fn thrower(n: u32) {
    burn_briefly();
    if black_box(n) < 1000 {
        std::panic::resume_unwind(Box::new(n));
    }
}

#[no_mangle]
#[inline(never)]
pub fn middle(n: u32) {
    let guard = Guard;
    thrower(n);
    black_box(&guard);
}

#[no_mangle]
#[inline(never)]
pub fn run_unwind() {
    loop {
        let r = std::panic::catch_unwind(|| middle(black_box(7)));
        black_box(r.is_err());
    }
}

#[no_mangle]
#[inline(never)]
pub fn run_thread() {
    let other = std::thread::spawn(|| {
        burn();
    });
    let _ = other.join();
}

fn main() {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let mut out = std::io::stdout();
    out.write_all(b"ready\n").unwrap();
    out.flush().unwrap();
    match kind.as_str() {
        "chain" => {
            black_box(link(59));
        }
        "sort" => run_sort(),
        "dynamic" => run_dynamic(),
        "unwind" => run_unwind(),
        _ => run_thread(),
    }
}
