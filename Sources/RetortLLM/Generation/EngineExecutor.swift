import Foundation

/// Runs an actor's work on a dedicated thread.
///
/// libtorch keeps a pool of workers for each thread that calls it, and a long product must not block one of Swift's
/// few cooperative threads. The model therefore stays on its own thread for life.
package final class EngineExecutor: SerialExecutor, @unchecked Sendable {
    // Guarded by `condition`.
    private var jobs: [UnownedJob] = []
    private var isFinished = false
    private let condition = NSCondition()

    /// Starts the thread.
    /// - Parameter name: the thread's name, for debuggers and profilers.
    package init(name: String) {
        let thread = Thread { [self] in run() }
        thread.name = name
        // Autograd and the tokenizer recurse more deeply than the default for secondary threads allows.
        thread.stackSize = 16 << 20
        thread.start()
    }

    /// Queues a job; jobs run in order.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        condition.withLock {
            jobs.append(job)
            condition.signal()
        }
    }

    /// This executor, in the form in which an actor returns it.
    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Ends the thread once the queued work is done.
    package func finish() {
        condition.withLock {
            isFinished = true
            condition.signal()
        }
    }

    private func run() {
        while let job = nextJob() { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }

    private func nextJob() -> UnownedJob? {
        condition.withLock {
            while jobs.isEmpty, !isFinished { condition.wait() }
            return jobs.isEmpty ? nil : jobs.removeFirst()
        }
    }
}
