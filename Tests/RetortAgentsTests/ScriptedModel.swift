import RetortCore
import Synchronization

/// A model that answers request after request from a list; each element holds the samples of one request.
final class ScriptedModel: LanguageModel {
    let identity = "scripted"
    private let script: Mutex<[[String]]>
    let requests = Mutex<[GenerationRequest]>([])

    init(_ script: [[String]]) { self.script = Mutex(script) }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        requests.withLock { $0.append(request) }
        let texts = script.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        return AsyncThrowingStream { continuation in
            guard let texts else { return continuation.finish(throwing: ScriptEnded()) }
            for (sample, text) in texts.enumerated() {
                continuation.yield(.text(sample: sample, text))
                continuation.yield(.finished(sample: sample, Completion(text: text, finish: .endOfTurn)))
            }
            continuation.finish()
        }
    }

    struct ScriptEnded: Error {}
}

/// A tiny interpreter: `x = n`, `x += n`, `print x`, `final x`, `final n`, `say text`, `fail`; anything else is an error.
actor CounterEnvironment: Environment {
    private var x: Int
    private let log: Log

    /// What all forks of one environment did.
    final class Log: Sendable {
        let performed = Mutex<[String]>([])
        let open = Mutex(0)
    }

    init(x: Int = 0, log: Log) {
        self.x = x
        self.log = log
        log.open.withLock { $0 += 1 }
    }

    func perform(_ action: Action) throws -> Observation {
        guard let program = action.code else { throw ScriptedModel.ScriptEnded() }
        log.performed.withLock { $0.append(program) }
        let words = program.split(separator: " ").map(String.init)
        switch words.first {
        case "x" where words[1] == "=": x = Int(words[2]) ?? 0
        case "x": x += Int(words[2]) ?? 0
        case "print": return Observation(text: String(x), outcome: .success)
        case "say": return Observation(text: words.dropFirst().joined(separator: " "), outcome: .success)
        case "final": return Observation(text: "", outcome: .final(.integer(Int(words[1]) ?? x)))
        default: return Observation(text: "Bad", outcome: .executionError(type: "Bad", message: "bad"))
        }
        return Observation(text: "(no output)", outcome: .success)
    }

    func fork() -> any Environment { CounterEnvironment(x: x, log: log) }

    private var isClosed = false
    func close() {
        if !isClosed { log.open.withLock { $0 -= 1 } }
        isClosed = true
    }
}

/// A code agent's turn.
func turn(_ program: String, thought: String = "So.") -> String { "Thought: \(thought)\nCode:\n```py\n\(program)\n```" }
