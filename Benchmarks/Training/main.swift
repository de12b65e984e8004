import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining

/// Trains LoRA adapters on ready samples with random weights, and prints what it took as JSON.
///
///     train-bench CONFIG.json SAMPLES.jsonl ROW_TOKENS RANK [recompute]
///
/// CONFIG is a Hugging Face `config.json`; each line of SAMPLES is `{"tokens": […], "trainable": […]}`.
/// `Benchmarks/train.py` runs it beside its peers.
struct Sample: Decodable {
    let tokens: [Int32]
    let trainable: [Bool]
}

/// The most memory that this process has had, in bytes (`VmHWM`, proc(5)).
func peakMemory() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
    return (line?.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
}

let arguments = CommandLine.arguments.dropFirst()
guard arguments.count >= 4, let rowTokens = Int(arguments[3]), let rank = Int(arguments[4]) else {
    print("train-bench CONFIG.json SAMPLES.jsonl ROW_TOKENS RANK [recompute]")
    exit(2)
}
let samples = try String(contentsOfFile: arguments[2], encoding: .utf8).split(separator: "\n").map {
    try JSONDecoder().decode(Sample.self, from: Data($0.utf8))
}
let examples = samples.enumerated().map {
    TrainingExample(id: "\($0)", tokens: $1.tokens, trainable: $1.trainable)
}
let shape = try DecoderConfiguration(configFile: URL(fileURLWithPath: arguments[1]))
let plan = TrainingConfiguration(
    method: .lora(LoRAConfiguration(rank: rank, alpha: Double(2 * rank), dropout: 0)), epochs: 1, rowTokens: rowTokens,
    learningRate: 1e-4, precision: .bfloat16, recomputesActivations: arguments.contains("recompute"), seed: 1)
let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 1, dtype: plan.baseDType))
let rows = EpochRows(examples, epochs: 1, rowTokens: rowTokens, seed: 1)
var counted = rows
var computed = 0
while let row = counted.next() { computed += row.tokens.count }
let start = ContinuousClock.now
let losses = try Trainer(network, configuration: plan).run(rows) { step in
    FileHandle.standardError.write(
        Data(String(format: "%d/%d  loss %.3f  %.0f tokens/s\n", step.update, step.updates, step.loss, step.rate).utf8))
}
let seconds = start.duration(to: .now) / .seconds(1)
let useful = examples.reduce(0) { $0 + $1.tokens.count }
print(
    """
    {"tokens": \(useful), "computed": \(computed), "rows": \(losses.count), "seconds": \(seconds), \
    "rate": \(Double(useful) / seconds), "memory": \(peakMemory()), "loss": \(losses.first ?? 0)}
    """)
