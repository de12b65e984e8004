import ArgumentParser
import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// `retort logits`
struct LogitsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logits",
        abstract: "Compute what a checkpoint makes of token ids, for comparison with other engines.",
        discussion: """
            Prints one JSON object: the logits of every position, the greedy continuation, and with --lora the loss and \
            gradients of one training step on the ids. Tools/parity.py compares them with transformers and PEFT.
            """)

    @Argument(help: "A checkpoint's folder, a GGUF file, or a model's name.") var folder: String
    @Option(help: "Token ids, separated by commas.") var ids: String
    @Option(help: "How many tokens to continue with.") var tokens: Int = 0
    @Option(help: "float32 or bfloat16.") var dtype: DType = .float32
    @Option(help: "A folder with a PEFT adapter to take one training step with.") var lora: String?

    func validate() throws {
        guard tokens >= 0 else { throw ValidationError("--tokens must be 0 or more") }
        guard [.float32, .bfloat16].contains(dtype) else {
            throw ValidationError("--dtype must be float32 or bfloat16, the types that networks compute in")
        }
    }

    func run() async throws {
        let checkpoint = try Checkpoint(folder: try await NamedModel.place(folder))
        let network = try checkpoint.network(dtype: dtype)
        let prompt = try Self.prompt(ids, vocabulary: network.configuration.vocabularySize)
        try Self.check(length: prompt.count + tokens, network.configuration)
        let scores = try network.scores(of: prompt, at: prompt.indices)
        var result = Result(logits: try prompt.indices.map { try scores.narrowed(0, $0..<$0 + 1).floats() })
        guard result.logits.allSatisfy({ $0.allSatisfy(\.isFinite) }) else {
            throw try checkpoint.notFinite()
                ?? CheckpointError.notFinite(
                    file: (checkpoint.adapterFolder ?? checkpoint.folder).path, name: "the scores of these ids")
        }
        var sequence = prompt
        for _ in 0..<tokens {
            guard !sequence.isEmpty else { break }
            let last = try network.scores(of: sequence, at: sequence.count - 1..<sequence.count)
            sequence.append(Int32(try last.argmax(axis: -1).item()))
        }
        result.continuation = Array(sequence.dropFirst(prompt.count))
        if let lora {
            let step = try GradientProbe(network, adapter: URL(fileURLWithPath: lora)).step(prompt)
            (result.loss, result.gradients) = (step.loss, step.gradients)
        }
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }

    /// Beyond its original length, longrope turns all positions by other factors, which is not computed.
    private static func check(length: Int, _ shape: DecoderConfiguration) throws {
        guard case .longrope = shape.rotary.scaling, length > shape.maximumPositions else { return }
        throw ValidationError(
            "\(length) tokens are beyond the original length of the model's longrope, \(shape.maximumPositions); give fewer"
        )
    }

    private static func prompt(_ text: String, vocabulary: Int) throws -> [Int32] {
        let ids = try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let id = Int32(part.trimmingCharacters(in: .whitespaces)), (0..<vocabulary).contains(Int(id)) else {
                throw ValidationError(
                    "--ids: '\(part)' is no token; write numbers from 0 to \(vocabulary - 1), separated by commas")
            }
            return id
        }
        return ids
    }

    private struct Result: Encodable {
        var logits: [[Float]]
        var continuation: [Int32] = []
        var loss: Double?
        var gradients: [String: [Float]]?
    }
}

extension DType: ExpressibleByArgument {}
