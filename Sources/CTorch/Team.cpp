#include "Calls.h"
#include "TrainingRows.h"

#include <c10/util/Logging.h>

#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <condition_variable>
#include <cstring>
#include <mutex>

// Processes that compute together: c10d's store, where they meet, and its Gloo, which sums over TCP. Both are in libtorch_cpu.

using namespace calls;

struct ct_store {
    c10::intrusive_ptr<c10d::TCPStore> value;
};

struct ct_team {
    c10::intrusive_ptr<c10d::ProcessGroupGloo> value;
    std::chrono::milliseconds limit;
    // An operation that nobody waits for any more: the group must outlive it, and ends with the process.
    bool has_left_work = false;
};

namespace {

std::chrono::milliseconds milliseconds(double seconds) { return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)); }

// Waits for an operation of the team; gives it up once the program has asked for that.
void finish(ct_team *team, const c10::intrusive_ptr<c10d::Work> &work) {
    struct End {
        std::mutex mutex;
        std::condition_variable changed;
        bool is_there = false;
    };
    const auto end = std::make_shared<End>();
    work->getFuture()->addCallback([end](c10::ivalue::Future &) {
        const std::lock_guard lock(end->mutex);
        end->is_there = true;
        end->changed.notify_all();
    });
    std::unique_lock lock(end->mutex);
    while (!end->changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return end->is_there; })) {
        try {
            training::check_interruption();
        } catch (...) {
            team->has_left_work = true;
            throw;
        }
    }
    lock.unlock();
    work->wait();
}

void broadcast(ct_team *team, at::Tensor flat, int root) {
    std::vector<at::Tensor> list{std::move(flat)};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    options.timeout = team->limit;
    finish(team, team->value->broadcast(list, options));
}

void sum(ct_team *team, at::Tensor flat) {
    std::vector<at::Tensor> list{std::move(flat)};
    c10d::AllreduceOptions options;
    options.timeout = team->limit;
    finish(team, team->value->allreduce(list, options));
}

}

ct_store *ct_store_open(const char *host, int port, bool serves, double seconds) {
    return guarded<ct_store *>(nullptr, [&] {
        // What fails is thrown, and told once; c10d would write every attempt to standard error besides, with its stack.
        FLAGS_caffe2_log_level = c10::GLOG_FATAL;
        c10d::TCPStoreOptions options;
        options.port = static_cast<uint16_t>(port);
        options.isServer = serves;
        options.waitWorkers = false;
        options.timeout = milliseconds(seconds);
        return new ct_store{c10::make_intrusive<c10d::TCPStore>(host, options)};
    });
}
void ct_store_close(ct_store *store) { delete store; }
void ct_store_limit(ct_store *store, double seconds) { store->value->setTimeout(milliseconds(seconds)); }
int ct_store_port(const ct_store *store) { return store->value->getPort(); }
int ct_store_set(ct_store *store, const char *key, const void *bytes, size_t count) {
    return perform([&] {
        const auto from = static_cast<const uint8_t *>(bytes);
        store->value->set(key, std::vector<uint8_t>(from, from + count));
    });
}
int64_t ct_store_add(ct_store *store, const char *key, int64_t amount) {
    return guarded<int64_t>(-1, [&] { return store->value->add(key, amount); });
}
int ct_store_has(ct_store *store, const char *key) {
    return guarded<int>(-1, [&] { return store->value->check({key}) ? 1 : 0; });
}
int64_t ct_store_get(ct_store *store, const char *key, void *bytes, size_t capacity) {
    return guarded<int64_t>(-1, [&] {
        const auto found = store->value->get(key);
        std::memcpy(bytes, found.data(), std::min(found.size(), capacity));
        return static_cast<int64_t>(found.size());
    });
}

ct_team *ct_team_form(ct_store *store, int rank, int size, const char *address, const char *interface, double seconds,
                      double limit) {
    return guarded<ct_team *>(nullptr, [&] {
        const auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(seconds));
        options->devices.push_back(
            interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                      : c10d::ProcessGroupGloo::createDeviceForHostname(address));
        return new ct_team{
            c10::make_intrusive<c10d::ProcessGroupGloo>(store->value, rank, size, options), milliseconds(limit)};
    });
}
void ct_team_leave(ct_team *team) {
    if (team->has_left_work) team->value.release();
    delete team;
}
int ct_team_broadcast(ct_team *team, ct_tensor *x, int root) {
    return perform([&] {
        at::NoGradGuard frozen;
        // As bytes, whatever the type: nothing is computed with them.
        auto host = x->value.detach().to(at::kCPU).contiguous();
        broadcast(team, host.flatten().view(at::kByte), root);
        if (team->value->getRank() != root && !host.is_alias_of(x->value)) x->value.copy_(host);
    });
}
int ct_team_gather(ct_team *team, ct_tensor *x) {
    return perform([&] {
        at::NoGradGuard frozen;
        auto whole = x->value.detach();
        const int64_t part = whole.numel() / team->value->getSize();
        auto own = whole.narrow(0, part * team->value->getRank(), part).clone();
        c10d::AllgatherOptions options;
        options.timeout = team->limit;
        finish(team, team->value->_allgather_base(whole, own, options));
    });
}
int ct_team_sum(ct_team *team, double *values, int count) {
    return perform([&] {
        auto flat = at::empty({count}, at::kDouble);
        std::memcpy(flat.data_ptr(), values, sizeof(double) * count);
        sum(team, flat);
        std::memcpy(values, flat.data_ptr(), sizeof(double) * count);
    });
}
int ct_team_sum_gradients(ct_team *team, ct_tensor *const *parameters, int count, int64_t most) {
    return perform([&] {
        at::NoGradGuard frozen;
        for (int start = 0, end; start < count; start = end) {
            int64_t elements = 0;
            for (end = start; end < count; ++end) {
                const int64_t more = parameters[end]->value.numel();
                if (end > start && elements + more > most) break;
                elements += more;
            }
            auto flat = at::empty({elements}, at::kFloat);
            int64_t offset = 0;
            auto part = [&](const at::Tensor &x) {
                const auto place = flat.narrow(0, offset, x.numel()).view(x.sizes());
                offset += x.numel();
                return place;
            };
            for (int index = start; index < end; ++index) {
                const auto &x = parameters[index]->value;
                const auto place = part(x);
                x.grad().defined() ? place.copy_(x.grad()) : place.zero_();
            }
            sum(team, flat);
            offset = 0;
            for (int index = start; index < end; ++index) {
                const auto &x = parameters[index]->value;
                const auto place = part(x);
                if (!x.grad().defined()) x.mutable_grad() = at::empty_like(x);
                x.mutable_grad().copy_(place);
            }
        }
    });
}
