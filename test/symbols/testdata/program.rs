// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

use std::collections::{BTreeMap, HashMap};

trait Shape {
    fn area(&self) -> f64;
}

struct Square(f64);
struct Circle(f64);

impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

impl Shape for Circle {
    fn area(&self) -> f64 {
        self.0 * self.0 * std::f64::consts::PI
    }
}

fn sorted(n: u64) -> BTreeMap<String, Vec<u64>> {
    let mut groups: HashMap<String, Vec<u64>> = HashMap::new();
    for i in 0..n {
        groups.entry(format!("{}", i % 17)).or_default().push(i.wrapping_mul(2654435761));
    }
    for values in groups.values_mut() {
        values.sort_by_key(|x| x ^ 5);
    }
    groups.into_iter().collect()
}

fn main() {
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(2.0)), Box::new(Circle(3.0))];
    println!("{}", shapes.iter().map(|s| s.area()).sum::<f64>());
    for (name, values) in sorted(10_000) {
        println!("{} {:?}", name, values.first());
    }
}
