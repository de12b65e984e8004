import Foundation
import RetortProcesses
import RetortTraining
import Synchronization

/// Turns the first SIGINT or SIGTERM into a cancellation. A second signal ends the process at once, and so does work
/// that has not stopped in time: everything stored is kept, and the same command continues from there. Finished
/// updates of a training are waited for, until they are in its checkpoint.
///
/// The handler only writes to a pipe, which a dedicated thread reads. It therefore depends neither on a queue that
/// work could have filled up, nor on the signal masks of other threads.
final class InterruptHandler: Sendable {
    private struct State {
        var action: (@Sendable () -> Void)?
        var grace = 5.0
        /// What the next signal ends instead of the program, once.
        var pause: (@Sendable () -> Void)?
    }

    /// The longest a training may take to write its checkpoint after the first signal, in seconds.
    private static let savingGrace = 300.0

    static let shared = InterruptHandler()

    private let state = Mutex(State())
    /// The end of the pipe that the handler writes to; set before any signal can arrive.
    private nonisolated(unsafe) static var signalled: Int32 = -1
    static let code: Int32 = 130

    private init() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        Self.signalled = ends[1]
        let reading = ends[0]
        Thread.detachNewThread { [self] in watch(reading) }
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                let saved = errno
                var byte: UInt8 = 1
                _ = write(InterruptHandler.signalled, &byte, 1)
                errno = saved
            }
        }
    }

    /// Sets what the first signal does.
    func cancels(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.action = action } }

    /// Sets how long work may go on after the first signal, in seconds, so that servers can finish their requests.
    func allow(seconds: Double) { state.withLock { $0.grace = seconds } }

    /// During `work`, the first signal calls `action`, and only a second one ends the program.
    func pausing<Value>(_ action: @escaping @Sendable () -> Void, during work: () async -> Value) async -> Value {
        state.withLock { $0.pause = action }
        defer { state.withLock { $0.pause = nil } }
        return await work()
    }

    private func watch(_ pipe: Int32) {
        var byte: UInt8 = 0
        while true {
            while read(pipe, &byte, 1) != 1 {}
            let pause = state.withLock { state in
                defer { state.pause = nil }
                return state.pause
            }
            guard let pause else { break }
            pause()
        }
        let (action, grace) = state.withLock { ($0.action, $0.grace) }
        guard let action else { Self.end() }
        action()
        let start = ContinuousClock.now
        var isSignalled = Self.waits(for: pipe, until: start + .seconds(grace))
        while !isSignalled, Trainer.hasUnsavedUpdates, start.duration(to: .now) < .seconds(Self.savingGrace) {
            isSignalled = Self.waits(for: pipe, until: .now + .milliseconds(200))
        }
        if !isSignalled {
            let seconds = Int(start.duration(to: .now) / .seconds(1))
            Self.say("the work at hand did not stop in \(seconds) seconds and was cut off")
        }
        Self.end()
    }

    /// Waits for another signal.
    /// - Returns: whether there was one.
    private static func waits(for pipe: Int32, until end: ContinuousClock.Instant) -> Bool {
        var waiting = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
        var found: Int32 = 0
        repeat {
            let left = ContinuousClock.now.duration(to: end) / .milliseconds(1)
            found = poll(&waiting, 1, Int32(max(left, 0)))
        } while found < 0 && errno == EINTR
        return found != 0
    }

    /// Ends the process with the exit code of an interruption.
    static func interrupted() -> Never {
        say("interrupted; start the same command again to go on")
        end()
    }

    /// Ends the process without running the destructors of libraries, in which threads that still compute would
    /// crash.
    static func end(_ code: Int32 = code) -> Never {
        // Tools' servers and other processes end with the command that started them, even those that hang.
        LivingGroups.end(within: 1)
        StandardOutput.flush()
        _exit(code)
    }

    private static func say(_ text: String) { FileHandle.standardError.write(Data("\n\(text)\n".utf8)) }
}
