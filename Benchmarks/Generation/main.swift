import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// Times generation with a checkpoint, and prints what it took as JSON.
///
///     generate-bench make CONFIG.json TOKENIZER_FOLDER OUT       random weights in bfloat16
///     generate-bench run FOLDER PROMPT_CHARACTERS TOKENS SAMPLES [int8 | int4]
///
/// `Benchmarks/generate.py` runs it beside its peers.
let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "make" where arguments.count == 4:
    let shape = try DecoderConfiguration(configFile: URL(fileURLWithPath: arguments[1]))
    let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 1, dtype: .bfloat16))
    try Checkpoint.write(
        network, dtype: .bfloat16, tokenizerFrom: URL(fileURLWithPath: arguments[2]),
        to: URL(fileURLWithPath: arguments[3]))
case "run" where arguments.count >= 5:
    guard let length = Int(arguments[2]), let tokens = Int(arguments[3]), let samples = Int(arguments[4]) else {
        exit(2)
    }
    let packing = arguments.count > 5 ? PackedWeight.Bits(rawValue: arguments[5]) : nil
    let model = try LocalModel(
        folder: URL(fileURLWithPath: arguments[1]), options: .init(dtype: .bfloat16, packing: packing))
    let prompt = String(repeating: "How many people live there? ", count: length / 28 + 1)
    let request = { (count: Int) in
        GenerationRequest(
            messages: [Message(.user, prompt)], samples: samples,
            sampling: samples == 1 ? .greedy : Sampling(temperature: 1, seed: 3), maximumTokens: count)
    }
    // The difference of two lengths leaves the prompt's reading out.
    func seconds(_ count: Int) async throws -> Double {
        let start = ContinuousClock.now
        _ = try await model.complete(request(count))
        return start.duration(to: .now) / .seconds(1)
    }
    _ = try await seconds(2)
    let (short, long) = (try await seconds(2), try await seconds(tokens + 2))
    print(
        """
        {"step": \((long - short) / Double(tokens)), "rate": \(Double(tokens * samples) / (long - short)), \
        "prompt": \(short)}
        """)
default:
    print("generate-bench make CONFIG TOKENIZER OUT | run FOLDER PROMPT_CHARACTERS TOKENS SAMPLES [int8 | int4]")
    exit(2)
}
