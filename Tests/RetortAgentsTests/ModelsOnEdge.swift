import RetortCore
import RetortTesting
import Synchronization

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
        return ScriptedModel(always: text).stream(request)
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
        return number <= answers ? ScriptedModel(always: text).stream(request) : AsyncThrowingStream { _ in }
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
