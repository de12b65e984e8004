import RetortCore
import Synchronization

/// A tiny interpreter of one variable: `x = n`, `x += n`, `print x`, `say text`, `call n` (a tool), `final x`,
/// `final value`, `wait` (until cancelled), `break` (the environment itself); anything else is an error.
actor CounterEnvironment: Environment {
    private var x: Int
    private let log: Log
    private var isClosed = false

    /// What all forks of one environment did.
    final class Log: Sendable {
        let performed = Mutex<[String]>([])
        let open = Mutex(0)
        let mostOpen = Mutex(0)
        let waiting = AsyncStream<Void>.makeStream()

        /// How many times a program ran.
        func count(_ program: String) -> Int { performed.withLock { $0.count { $0 == program } } }
        /// How many sessions were not closed.
        var openCount: Int { open.withLock { $0 } }
    }

    init(x: Int = 0, log: Log) {
        self.x = x
        self.log = log
        let open = log.open.withLock { count in
            count += 1
            return count
        }
        log.mostOpen.withLock { $0 = max($0, open) }
    }

    struct Broken: Error {}

    func perform(_ action: Action) async throws -> Observation {
        guard !isClosed, let program = action.code else { throw Broken() }
        log.performed.withLock { $0.append(program) }
        let words = program.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let rest = words.dropFirst().joined(separator: " ")
        switch words[0] {
        case "x" where words[1] == "=": x = Int(words[2]) ?? 0
        case "x": x += Int(words[2]) ?? 0
        case "print": return Observation(text: String(x), outcome: .success)
        case "say": return Observation(text: rest, outcome: .success)
        case "call":
            let call = ToolCall(name: "tool", arguments: ["n": .string(rest)], result: 1)
            return Observation(text: "1", outcome: .success, toolCalls: [call])
        case "final": return Observation(text: "", outcome: .final(rest == "x" ? .integer(x) : value(rest)))
        case "wait":
            log.waiting.continuation.yield()
            try await Task.sleep(for: .seconds(3600))
        case "break": throw Broken()
        default: return Observation(text: "Bad \(program)", outcome: .executionError(type: "Bad", message: "bad"))
        }
        return Observation(text: "(no output)", outcome: .success)
    }

    private func value(_ text: String) -> JSONValue {
        Int(text).map { .integer($0) } ?? Double(text).map { .number($0) } ?? .string(text)
    }

    func fork() -> any Environment { CounterEnvironment(x: x, log: log) }

    func close() {
        if !isClosed { log.open.withLock { $0 -= 1 } }
        isClosed = true
    }
}
