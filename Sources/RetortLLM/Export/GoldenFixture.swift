import Foundation
import RetortCore
import RetortTensor

/// What an exported model must answer: a prompt, its tokens, the likeliest next ones with their scores, and the greedy
/// continuation, as Retort computes them in float32. `Tools/verify_export.py` asks the same of the target.
public struct GoldenFixture: Codable, Sendable {
    public var prompt: String
    public var tokens: [Int32]
    /// The five likeliest tokens behind the prompt, and their scores.
    public var likeliest: [Int32]
    public var scores: [Float]
    public var continuation: [Int32]

    /// - Parameter length: how many tokens the continuation has.
    public init(_ checkpoint: Checkpoint, _ network: DecoderNetwork, length: Int = 16) throws {
        let messages = [Message(.user, "How many people live in Österland (北京)? Answer: 2 * 10241")]
        tokens = try checkpoint.template.render(messages, then: .generation(), with: checkpoint.tokenizer).tokens
        prompt = checkpoint.tokenizer.decode(tokens)
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
}
