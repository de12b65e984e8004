import Foundation
import RetortCore
import RetortTensor

/// What an exported model must answer: the tokens of some texts; and for a prompt's tokens the likeliest next ones with
/// their scores, and the greedy continuation, as Retort computes them in float32. `Tools/verify_export.py` asks the same
/// of the target.
public struct GoldenFixture: Codable, Sendable {
    /// A text in which special tokens are meant, and its tokens.
    public struct Text: Codable, Sendable {
        public var text: String
        public var tokens: [Int32]
    }

    /// What is easily got wrong, as it stands in a chat: behind a special token.
    public var texts: [Text]
    /// What the user says in the prompt.
    public var question: String
    /// The prompt, for the eye.
    public var prompt: String
    public var tokens: [Int32]
    /// The five likeliest tokens behind the prompt, and their scores.
    public var likeliest: [Int32]
    public var scores: [Float]
    public var continuation: [Int32]

    /// - Parameter length: how many tokens the continuation has.
    public init(_ checkpoint: Checkpoint, _ network: DecoderNetwork, length: Int = 16) throws {
        question = "How many people live in Österland (北京)? Answer: 2 * 10241"
        tokens = try checkpoint.template.render(
            [Message(.user, question)], then: .generation(), with: checkpoint.tokenizer
        ).tokens
        prompt = checkpoint.tokenizer.decode(tokens)
        let marker = checkpoint.tokenizer.token(checkpoint.template.endOfTurn) ?? ""
        texts = Self.pitfalls.map { text in
            let text = marker + text
            return Text(text: text, tokens: checkpoint.tokenizer.encode(text, specials: .recognised))
        }
        var sequence = tokens
        (likeliest, scores, continuation) = ([], [], [])
        for step in 0..<length {
            let scores = try network.scores(of: sequence, at: sequence.count - 1..<sequence.count).floats()
            let best = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(5)
            if step == 0 {
                likeliest = best.map(Int32.init)
                self.scores = best.map { scores[$0] }
            }
            guard let next = best.first else { break }
            continuation.append(Int32(next))
            sequence.append(Int32(next))
        }
    }

    /// Blanks at the start, newlines, digits, bytes and characters outside most vocabularies, what looks like a token.
    private static let pitfalls = [
        "Hello", " Hello  world   !", "\n\n  def f(x):\n\treturn x ** 2\r\n", "12345 3.14 1,000",
        "Zürich, naïve: 北京 Привет",
        "👩🏽‍🚀🎉", "\u{10348}\u{1F9EC}", "<0x0A>▁<s></s>", "I'm WE'LL a_b-c.d/e\\f",
    ]
}
