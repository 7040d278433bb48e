/* SPDX-License-Identifier: MIT */
/*
 * checks.h - what the process holds, and how two moments differ.
 */
#ifndef ROTA_TESTS_CHECKS_H
#define ROTA_TESTS_CHECKS_H

#include <csignal>
#include <cstddef>
#include <map>
#include <sched.h>
#include <string>
#include <vector>

namespace support {

/* What a process must hold unchanged over a test. */
class Snapshot {
public:
    static Snapshot take();

    /* One line for each kind of difference, in words; empty when there is none. */
    std::string difference(const Snapshot &later) const;

private:
    std::map<int, std::string> descriptors_; /* number, and what it refers to */
    std::size_t threads_ = 0;
    std::size_t stacks_ = 0;
    std::ptrdiff_t bytes_ = 0;
    std::vector<void *> handlers_; /* by signal number */
    std::string signal_mask_;
    std::string affinity_;
};

/*
 * What changed since `before`, asked again for a while: an ended thread leaves the process a moment
 * after it was joined.
 */
std::string settled_difference(const Snapshot &before);

} // namespace support

#endif
