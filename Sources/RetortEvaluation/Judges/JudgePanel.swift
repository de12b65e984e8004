import RetortCore
import Synchronization

/// A model that is asked the same question several times. Its replies are cached: a question that comes up again with
/// the same seed costs nothing. A cassette around the model makes the cache last.
final class JudgePanel: Sendable {
    private let model: any LanguageModel
    private let size: Int
    private let temperature: Double
    private let maximumTokens: Int
    private let known = Mutex<[String: [String]]>([:])

    /// - Parameters:
    ///   - votes: how often a question is asked; a single vote is greedy.
    ///   - maximumTokens: the limit of each reply.
    init(model: any LanguageModel, votes: Int, temperature: Double, maximumTokens: Int = 512) {
        self.model = model
        size = max(votes, 1)
        self.temperature = temperature
        self.maximumTokens = maximumTokens
    }

    /// The model's replies, one for each vote.
    /// - Parameter seed: a text that the samples are drawn by.
    /// - Throws: what the model throws.
    func replies(to question: String, seed: String) async throws -> [String] {
        let key = "\(seed)\n\(question)"
        if let replies = known.withLock({ $0[key] }) { return replies }
        let sampling = Sampling(temperature: size > 1 ? temperature : 0, seed: StableHash.of(seed))
        let completions = try await model.complete(
            GenerationRequest(
                messages: [Message(.user, question)], samples: size, sampling: sampling, maximumTokens: maximumTokens))
        let replies = completions.map(\.text)
        known.withLock { $0[key] = replies }
        return replies
    }

    /// Asks the model and counts its votes.
    /// - Parameters:
    ///   - yes: the word of a vote in favour, as the question names it; `no` and `undecided` likewise.
    ///   - seed: a text that the samples are drawn by.
    /// - Throws: what the model throws.
    func votes(
        on question: String, yes: String, no: String, or undecided: String, seed: String
    ) async throws -> JudgeVotes {
        try await replies(to: question, seed: seed).reduce(into: JudgeVotes()) { count, text in
            count.add(JudgeQuestion.verdict(text, among: [yes, no, undecided]), yes: yes, no: no)
        }
    }
}

extension JudgeVotes {
    /// Counts a vote; any other word, or none, is an undecided vote.
    mutating func add(_ word: String?, yes: String = "yes", no: String = "no") {
        switch word {
        case yes: self.yes += 1
        case no: self.no += 1
        default: unsure += 1
        }
    }
}
