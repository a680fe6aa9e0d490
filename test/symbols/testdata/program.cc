// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace shapes {

struct shape {
	virtual ~shape() = default;
	virtual double area() const = 0;
};

template <int n> struct polygon : shape {
	double side;
	explicit polygon(double s) : side(s) {}
	double area() const override { return side * side * n / (2.0 + n); }
};

static inline double total(const std::vector<shape *> &all)
{
	return std::accumulate(all.begin(), all.end(), 0.0, [](double sum, const shape *s) { return sum + s->area(); });
}

} // namespace shapes

static std::map<std::string, std::vector<int>> words(std::stringstream &text)
{
	std::map<std::string, std::vector<int>> out;
	int at = 0;
	for (std::string word; text >> word; at++)
		out[word].push_back(at);
	return out;
}

int main(int argc, char **)
{
	std::vector<shapes::shape *> all;
	for (int i = 0; i < argc + 5; i++)
		if (i % 2)
			all.push_back(new shapes::polygon<3>(i));
		else
			all.push_back(new shapes::polygon<4>(i));
	std::stringstream text;
	for (int i = 0; i < 100; i++)
		text << "w" << char('a' + i % 26) << " ";
	for (auto &[word, places] : words(text)) {
		std::sort(places.begin(), places.end(), [](int a, int b) { return (a ^ 5) < (b ^ 5); });
		std::printf("%s %d\n", word.c_str(), places.front());
	}
	std::printf("%f\n", shapes::total(all));
	for (auto *s : all)
		delete s;
}
