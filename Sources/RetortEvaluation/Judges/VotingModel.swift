import RetortCore

/// A model whose replies are votes. A reply without a single vote is an error of the request, so a cassette around the
/// model does not keep it as the answer: the question is asked again by the next run.
package struct VotingModel: LanguageModel {
    private let inner: any LanguageModel

    /// - Parameter inner: is asked for the votes, which are JSON as `ModelJudge.replySchema` describes.
    package init(_ inner: any LanguageModel) { self.inner = inner }

    /// The inner model's.
    package var identity: String { inner.identity }

    /// The inner model's.
    package func profile(of request: GenerationRequest) -> ReplyProfile { inner.profile(of: request) }

    /// The votes, all at once.
    /// - Throws: `JudgeError.noVote` in the stream, and what the model throws.
    package func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        .whole {
            let completions = try await inner.complete(request)
            guard completions.contains(where: { ModelJudge.read($0.text) != nil }) else {
                throw JudgeError.noVote(reply: completions.first?.text ?? "")
            }
            return completions
        }
    }
}
