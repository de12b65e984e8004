#include "TensorPool.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>

namespace {

constexpr size_t large_page = size_t{2} << 20;

// Smaller tensors are left to the program's allocator.
constexpr size_t smallest = size_t{256} << 10;

// The idle memory that is allowed beyond the most that was in use: what a layer computes and drops while the memory
// in use still grows. Without it, every new tensor would send such memory back, to be cleared by the system the next
// time.
constexpr size_t slack = size_t{128} << 20;

// The next larger of eight sizes per doubling.
size_t rounded(size_t bytes) {
    size_t step = smallest / 8;
    while (step * 16 <= bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

void *map(size_t bytes) {
    // One more large page, so that the block can begin at one.
    const size_t margin = bytes >= large_page ? large_page : 0;
    void *got = mmap(nullptr, bytes + margin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) return nullptr;
    if (margin == 0) return got;
    const auto begin = reinterpret_cast<uintptr_t>(got), start = (begin + large_page - 1) / large_page * large_page;
    if (start > begin) munmap(got, start - begin);
    if (const size_t behind = begin + margin - start) munmap(reinterpret_cast<void *>(start + bytes), behind);
#if defined(MADV_HUGEPAGE)
    madvise(reinterpret_cast<void *>(start), bytes, MADV_HUGEPAGE);
#endif
    return reinterpret_cast<void *>(start);
}

class Pool final : public c10::Allocator {
public:
    static Pool &shared() {
        // Never destroyed, since tensors may be freed while the program ends.
        static Pool *pool = new Pool();
        return *pool;
    }

    c10::DataPtr allocate(size_t bytes) override {
        void *memory = bytes >= smallest ? take(rounded(bytes)) : nullptr;
        if (!memory) memory = usual->raw_allocate(bytes);
        return {memory, memory, &give_back, c10::Device(c10::DeviceType::CPU)};
    }

    // libtorch's kernels allocate space for themselves by the pointer alone.
    c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

    void copy_data(void *to, const void *from, size_t bytes) const override { std::memcpy(to, from, bytes); }

    void keep() {
        std::lock_guard lock(mutex);
        if (!installed) c10::SetCPUAllocator(this, 1);
        installed = true;
        ++keepers;
    }

    void release() {
        std::lock_guard lock(mutex);
        if (keepers == 0 || --keepers > 0) return;
        while (!idle.empty()) drop_oldest();
        most = used;
    }

    tensor_pool::Report report() {
        std::lock_guard lock(mutex);
        return {used, resting, most};
    }

private:
    struct Block {
        void *memory;
        size_t size;
    };
    // The block that has been idle the longest comes first.
    using Idle = std::list<Block>;

    c10::Allocator *const usual = c10::GetDefaultCPUAllocator();
    std::mutex mutex;
    std::unordered_map<void *, size_t> in_use;
    Idle idle;
    std::multimap<size_t, Idle::iterator> by_size;
    size_t used = 0, resting = 0, most = 0;
    int keepers = 0;
    bool installed = false;

    // A block of this size; null when the pool is not in use, or the system has no memory.
    void *take(size_t size) {
        std::lock_guard lock(mutex);
        if (keepers == 0) return nullptr;
        // A block that is a quarter larger will do, and one twice as large if otherwise another would have to be
        // given back.
        const bool is_full = used + resting + size > most + slack;
        if (auto found = by_size.lower_bound(size);
            found != by_size.end() && found->first <= (is_full ? 2 * size : size + size / 4)) {
            const Block block = *found->second;
            remove(found);
            return count_in(block);
        }
        while (!idle.empty() && used + resting + size > most + slack) drop_oldest();
        void *memory = map(size);
        while (!memory && !idle.empty()) {
            drop_oldest();
            memory = map(size);
        }
        return memory ? count_in({memory, size}) : nullptr;
    }

    void *count_in(Block block) {
        in_use.emplace(block.memory, block.size);
        used += block.size;
        most = std::max(most, used);
        return block.memory;
    }

    static void give_back(void *memory) {
        Pool &pool = shared();
        // Blocks of the pool begin at pages, others hardly ever do.
        if (reinterpret_cast<uintptr_t>(memory) % 4096 == 0 && pool.took_back(memory)) return;
        pool.usual->raw_deallocate(memory);
    }

    // Whether it was a block of the pool.
    bool took_back(void *memory) {
        std::lock_guard lock(mutex);
        const auto found = in_use.find(memory);
        if (found == in_use.end()) return false;
        const Block block{memory, found->second};
        in_use.erase(found);
        used -= block.size;
        if (keepers == 0) {
            munmap(block.memory, block.size);
            return true;
        }
        by_size.emplace(block.size, idle.insert(idle.end(), block));
        resting += block.size;
        return true;
    }

    void remove(std::multimap<size_t, Idle::iterator>::iterator entry) {
        resting -= entry->first;
        idle.erase(entry->second);
        by_size.erase(entry);
    }

    void drop_oldest() {
        const Block block = idle.front();
        auto [entry, end] = by_size.equal_range(block.size);
        while (entry != end && entry->second != idle.begin()) ++entry;
        remove(entry);
        munmap(block.memory, block.size);
    }
};

}

void tensor_pool::keep() { Pool::shared().keep(); }
void tensor_pool::release() { Pool::shared().release(); }
tensor_pool::Report tensor_pool::report() { return Pool::shared().report(); }
