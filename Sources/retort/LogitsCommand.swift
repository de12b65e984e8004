import ArgumentParser
import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// `retort logits`
struct LogitsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logits",
        abstract: "Compute what a checkpoint makes of token ids, for comparison with other engines.",
        discussion: """
            Prints one JSON object: the logits of every position, the greedy continuation, and with --lora the loss and \
            gradients of one training step on the ids. Tools/parity.py compares them with transformers and PEFT.
            """)

    @Argument(help: "A checkpoint's folder.") var folder: String
    @Option(help: "Token ids, separated by commas.") var ids: String
    @Option(help: "How many tokens to continue with.") var tokens: Int = 0
    @Option(help: "float32 or bfloat16.") var dtype: DType = .float32
    @Option(help: "A folder with a PEFT adapter to take one training step with.") var lora: String?

    func run() throws {
        let checkpoint = try Checkpoint(folder: URL(fileURLWithPath: folder))
        let network = try checkpoint.network(dtype: dtype)
        let prompt = ids.split(separator: ",").compactMap { Int32($0) }
        var result = Result(logits: try logits(network, prompt).map { try $0.to(.float32).floats() })
        var sequence = prompt
        for _ in 0..<tokens {
            guard let last = try logits(network, sequence).last else { break }
            sequence.append(Int32(try last.argmax(axis: -1).item()))
        }
        result.continuation = Array(sequence.dropFirst(prompt.count))
        if let lora {
            let step = try GradientProbe(network, adapter: URL(fileURLWithPath: lora)).step(prompt)
            (result.loss, result.gradients) = (step.loss, step.gradients)
        }
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }

    private struct Result: Encodable {
        var logits: [[Float]]
        var continuation: [Int32] = []
        var loss: Double?
        var gradients: [String: [Float]]?
    }

    /// The scores at each position, without a cache.
    private func logits(_ network: DecoderNetwork, _ ids: [Int32]) throws -> [Tensor] {
        try withoutGradients {
            let context = PackedAttention(segments: [ids.count])
            let tokens = try Tensor(integers: ids.map(Int.init), shape: [1, ids.count])
            let positions = try Tensor(integers: context.positions, shape: [1, ids.count])
            let all = try network.logits(network.hidden(tokens, positions: positions, context: context))
            return try ids.indices.map { try all.narrowed(1, $0..<$0 + 1).reshaped([-1]) }
        }
    }
}

extension DType: ExpressibleByArgument {}
