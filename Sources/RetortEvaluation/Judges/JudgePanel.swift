import RetortCore

/// A model that is asked the same question several times.
struct JudgePanel: Sendable {
    private let model: any LanguageModel
    private let size: Int
    private let temperature: Double

    /// - Parameter votes: how often a question is asked; a single time greedily.
    init(model: any LanguageModel, votes: Int, temperature: Double) {
        self.model = model
        size = max(votes, 1)
        self.temperature = temperature
    }

    /// Counts what the model says.
    /// - Parameters:
    ///   - yes: the word of a vote for, as the question names it; `no` and `undecided` likewise.
    ///   - seed: what the samples are drawn by.
    /// - Throws: what the model throws.
    func votes(
        on question: String, yes: String, no: String, or undecided: String, seed: String
    ) async throws -> JudgeVotes {
        let sampling = Sampling(temperature: size > 1 ? temperature : 0, seed: StableHash.of(seed))
        let completions = try await model.complete(
            GenerationRequest(
                messages: [Message(.user, question)], samples: size, sampling: sampling, maximumTokens: 512))
        return completions.reduce(into: JudgeVotes()) { count, completion in
            switch JudgeQuestion.verdict(completion.text, among: [yes, no, undecided]) {
            case yes: count.yes += 1
            case no: count.no += 1
            default: count.unsure += 1
            }
        }
    }
}
