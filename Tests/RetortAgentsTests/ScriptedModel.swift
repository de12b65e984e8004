import RetortCore
import Synchronization

/// A model that answers request after request from a list; each element holds the samples of one request.
final class ScriptedModel: LanguageModel {
    let identity = "scripted"
    private let script: Mutex<[[Completion]]>
    let requests = Mutex<[GenerationRequest]>([])

    convenience init(_ script: [[String]]) {
        self.init(script.map { $0.map { Completion(text: $0, finish: .endOfTurn, usage: Self.cost) } })
    }

    init(_ script: [[Completion]]) { self.script = Mutex(script) }

    static let cost = Usage(promptTokens: 1, completionTokens: 10, seconds: 0.5)

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        requests.withLock { $0.append(request) }
        let completions = script.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        return AsyncThrowingStream { continuation in
            guard let completions else { return continuation.finish(throwing: ScriptEnded()) }
            for (sample, completion) in completions.enumerated() {
                continuation.yield(.text(sample: sample, completion.text))
                continuation.yield(.finished(sample: sample, completion))
            }
            continuation.finish()
        }
    }

    struct ScriptEnded: Error {}
}

/// A model that always says the same, to every sample.
struct FixedModel: LanguageModel {
    let identity = "fixed"
    let text: String

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        AsyncThrowingStream { continuation in
            for sample in 0..<request.samples {
                continuation.yield(.finished(sample: sample, Completion(text: text, finish: .endOfTurn)))
            }
            continuation.finish()
        }
    }
}

/// A model that fails some times, and says the same ever after.
final class FailingModel: LanguageModel {
    let identity = "failing"
    let asked = Mutex(0)
    private let failures: Int
    private let text: String
    private let halts: Bool

    struct Failure: RunHalting { var haltsRun: Bool }

    init(failures: Int, text: String, halts: Bool = false) {
        self.failures = failures
        self.text = text
        self.halts = halts
    }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        guard number > failures else {
            return AsyncThrowingStream { $0.finish(throwing: Failure(haltsRun: halts)) }
        }
        return FixedModel(text: text).stream(request)
    }
}

/// A model that answers some requests, and none ever after.
final class AnsweringModel: LanguageModel {
    let identity = "answering"
    let asked = Mutex(0)
    private let answers: Int
    private let text: String

    init(answers: Int, text: String) {
        self.answers = answers
        self.text = text
    }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        return number <= answers ? FixedModel(text: text).stream(request) : AsyncThrowingStream { _ in }
    }
}

/// A model that never says anything, and tells when it is asked.
struct SilentModel: LanguageModel {
    let identity = "silent"
    let asked: AsyncStream<Void>.Continuation

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        asked.yield()
        // Its end on cancellation is silent, as that of many streams is.
        return AsyncThrowingStream { _ in }
    }
}

/// A code agent's turn.
func turn(_ program: String, thought: String = "So.") -> String { "Thought: \(thought)\nCode:\n```py\n\(program)\n```" }
