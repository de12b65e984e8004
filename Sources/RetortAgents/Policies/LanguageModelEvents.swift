import RetortCore
import Tracing

extension LanguageModel {
    /// Waits for all samples; the text of a single one is passed on as it is written.
    func complete(
        _ request: GenerationRequest, emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Completion] {
        try await withSpan("chat \(identity)", ofKind: .client) { span in
            span.attributes.merge(AgentSpan.chat(request, identity))
            let completions = try await answers(to: request, emit)
            AgentSpan.end(completions, span)
            return completions
        }
    }

    private func answers(
        to request: GenerationRequest, _ emit: @Sendable (RolloutEvent) -> Void
    ) async throws -> [Completion] {
        guard request.samples == 1 else { return try await complete(request) }
        for try await event in stream(request) {
            switch event {
            case .text(_, let text): emit(.text(text))
            case .token, .lost: break
            case .finished(_, let completion): return [completion]
            }
        }
        throw LanguageModelError.sampleMissing(0)
    }
}
