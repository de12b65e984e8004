import Foundation
import RetortCore

extension CannedAnswer {
    private struct Body: Decodable {
        struct Turn: Decodable {
            var role: Role
            var content: String
        }
        var messages: [Turn]
        var n: Int?
        var seed: UInt64?
        var temperature: Double?
    }

    /// What a model in this process says to a chat request. A trailing assistant message is continued.
    public init(of model: any LanguageModel, to request: ReceivedRequest) async throws {
        let body = try JSONDecoder().decode(Body.self, from: Data(request.body))
        var messages = body.messages.map { Message($0.role, $0.content) }
        let prefill = messages.last?.role == .assistant ? messages.removeLast().text : ""
        let completions = try await model.complete(
            GenerationRequest(
                messages: messages, prefill: prefill, samples: body.n ?? 1,
                sampling: Sampling(temperature: body.temperature ?? 0, seed: body.seed ?? 0)))
        let usage = completions.reduce(Usage()) { $0 + $1.usage }
        self.init(
            completions.map(\.text), promptTokens: usage.promptTokens, completionTokens: usage.completionTokens)
    }
}
