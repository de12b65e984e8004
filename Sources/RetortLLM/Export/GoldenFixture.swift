import Foundation
import RetortCore
import RetortTensor

/// The answers that an exported model must give: the tokens of some texts; for a prompt's tokens the likeliest next
/// tokens with their scores; and the greedy continuation. Retort computes them in float32, and
/// `Tools/verify_export.py` asks the exported model for the same.
package struct GoldenFixture: Codable, Sendable {
    /// A text in which special tokens are recognised, and its tokens.
    package struct Text: Codable, Sendable {
        /// The text.
        package var text: String
        /// The tokens of the text.
        package var tokens: [Int32]
    }

    /// Texts that are easily tokenised wrongly, each after a special token, as in a chat.
    package var texts: [Text]
    /// The user's message in the prompt.
    package var question: String
    /// The prompt as text, for people.
    package var prompt: String
    /// The prompt's tokens.
    package var tokens: [Int32]
    /// The five likeliest tokens after the prompt, best first.
    package var likeliest: [Int32]
    /// The scores (logits) of those tokens.
    package var scores: [Float]
    /// The tokens that follow greedily.
    package var continuation: [Int32]

    /// - Parameter length: the number of tokens of the continuation.
    package init(_ checkpoint: Checkpoint, _ network: DecoderNetwork, length: Int = 16) throws {
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

    /// Leading blanks, newlines, digits, bytes, characters outside most vocabularies, and texts that look like
    /// tokens.
    private static let pitfalls = [
        "Hello", " Hello  world   !", "\n\n  def f(x):\n\treturn x ** 2\r\n", "12345 3.14 1,000",
        "Zürich, naïve: 北京 Привет",
        "👩🏽‍🚀🎉", "\u{10348}\u{1F9EC}", "<0x0A>▁<s></s>", "I'm WE'LL a_b-c.d/e\\f",
    ]
}
