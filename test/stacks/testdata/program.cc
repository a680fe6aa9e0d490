// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Burns a CPU in C++, in the way that the argument says.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

extern "C" NOINLINE void burn() {
	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
}

extern "C" NOINLINE void burn_briefly() {
	for (unsigned long i = 0; i < 5000; i++)
		__asm__ volatile("" : : "r"(i));
}

struct Animal {
	virtual ~Animal() = default;
	virtual void speak(int n) = 0;
	std::unique_ptr<Animal> next;
};

struct Dog : Animal {
	NOINLINE void speak(int n) override {
		if (next)
			next->speak(n + 1);
		else
			burn();
		__asm__ volatile("");
	}
};

struct Cat : Animal {
	NOINLINE void speak(int n) override {
		std::string words(n, 'm');
		__asm__ volatile("" : : "r"(words.data()) : "memory");
		next->speak(n + 1);
		__asm__ volatile("");
	}
};

extern "C" NOINLINE void run_virtual() {
	std::unique_ptr<Animal> first;
	for (int i = 0; i < 20; i++) {
		std::unique_ptr<Animal> a;
		if (i % 2)
			a = std::make_unique<Cat>();
		else
			a = std::make_unique<Dog>();
		a->next = std::move(first);
		first = std::move(a);
	}
	first->speak(0);
}

extern "C" NOINLINE void apply(const std::function<void(int)> &f, int n) {
	f(n);
	__asm__ volatile("");
}

extern "C" NOINLINE void run_lambda() {
	std::string kept(100, 'k');
	apply([&kept](int n) {
		apply([&kept, n](int m) {
			__asm__ volatile("" : : "r"(kept.data() + n + m) : "memory");
			burn();
		}, n + 1);
		__asm__ volatile("");
	}, 1);
}

extern "C" NOINLINE bool compare(int a, int b) {
	burn();
	return a < b;
}

extern "C" NOINLINE void run_sort() {
	int numbers[] = {3, 1, 2, 5, 4};
	std::sort(numbers, numbers + 5, compare);
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

struct Guard {
	NOINLINE ~Guard() {
		burn_briefly();
		__asm__ volatile("");
	}
};

extern "C" NOINLINE void thrower(int n) {
	burn_briefly();
	if (n >= 0)
		throw std::runtime_error("thrown");
}

extern "C" NOINLINE void middle(int n) {
	Guard guard;
	thrower(n);
	__asm__ volatile("");
}

extern "C" NOINLINE int catcher(int n) {
	try {
		middle(n);
	} catch (const std::exception &e) {
		burn_briefly();
		return e.what()[0];
	}
	return 0;
}

extern "C" NOINLINE void run_exception() {
	for (int n = 0;; n = (n + 1) % 1000) {
		int m = catcher(n);
		__asm__ volatile("" : : "r"(m));
	}
}

extern "C" NOINLINE void run_thread() {
	std::thread other([] { burn(); });
	other.join();
}

int main(int argc, char **argv) {
	if (argc < 2 || write(1, "ready\n", 6) < 0)
		return 2;
	std::string kind = argv[1];
	if (kind == "virtual")
		run_virtual();
	else if (kind == "lambda")
		run_lambda();
	else if (kind == "sort")
		run_sort();
	else if (kind == "exception")
		run_exception();
	else
		run_thread();
	return 0;
}
