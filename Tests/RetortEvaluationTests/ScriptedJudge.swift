import RetortCore
import Synchronization

/// A judge that says, in turn, what it is told to say; each element is all samples of one request.
final class ScriptedJudge: LanguageModel {
    let identity = "judge"
    private let script: Mutex<[[String]]>
    let asked = Mutex<[String]>([])

    init(_ script: [[String]]) { self.script = Mutex(script) }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        asked.withLock { $0.append(request.messages.last?.text ?? "") }
        let answers = script.withLock { $0.isEmpty ? [] : $0.removeFirst() }
        return AsyncThrowingStream { continuation in
            for (sample, text) in answers.enumerated() {
                continuation.yield(.finished(sample: sample, Completion(text: text, finish: .endOfTurn)))
            }
            continuation.finish()
        }
    }
}
