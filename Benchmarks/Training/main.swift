import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortRetrieval
import RetortStore
import RetortTensor
import RetortTraining

/// Trains LoRA adapters on ready samples with random weights, and prints what it took as JSON.
///
///     train-bench samples TORA.jsonl CHECKPOINT COUNT > SAMPLES.jsonl
///     train-bench train CONFIG.json SAMPLES.jsonl ROW_TOKENS RANK [recompute]
///
/// CONFIG is a Hugging Face `config.json`; each line of SAMPLES is `{"tokens": […], "trainable": […]}`.
/// `Benchmarks/train.py` runs it beside its peers.
struct Sample: Codable {
    let tokens: [Int32]
    let trainable: [Bool]
}

/// The most memory that this process has had, in bytes (`VmHWM`, proc(5)).
func peakMemory() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") }
    return (line?.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
}

ComputeThreads.restartWithSleepingWaits()
let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "samples" where arguments.count == 4:
    try writeSamples(from: arguments[1], tokenizer: arguments[2], count: arguments[3])
case "train" where arguments.count >= 5: try train()
default:
    print(
        "train-bench samples TORA.jsonl CHECKPOINT COUNT | train CONFIG.json SAMPLES.jsonl ROW_TOKENS RANK [recompute]")
    exit(2)
}

/// Prints real trajectories (ToRA's) as an agent with full instructions sees them.
func writeSamples(from file: String, tokenizer folder: String, count: String) throws {
    let checkpoint = try Checkpoint(folder: URL(fileURLWithPath: folder))
    let trajectories = try ToRAImporter.read(URL(fileURLWithPath: file)).prefix(Int(count) ?? 0)
    let set = try TrainingSet(
        trajectories.map { $0.asAgentTrajectory() },
        view: CodeAgentView(instructions: .full, tools: [WebSearchTool.specification]),
        template: checkpoint.template, tokenizer: checkpoint.tokenizer, limit: 1 << 20, overlong: .drop)
    for example in set.examples {
        print(
            String(
                decoding: try JSONEncoder().encode(Sample(tokens: example.tokens, trainable: example.trainable)),
                as: UTF8.self))
    }
}

func train() throws {
    guard let rowTokens = Int(arguments[3]), let rank = Int(arguments[4]) else { exit(2) }
    let examples = try String(contentsOfFile: arguments[2], encoding: .utf8).split(separator: "\n").map {
        let sample = try JSONDecoder().decode(Sample.self, from: Data($0.utf8))
        return TrainingExample(id: "", tokens: sample.tokens, trainable: sample.trainable)
    }
    let shape = try DecoderConfiguration(configFile: URL(fileURLWithPath: arguments[1]))
    let plan = TrainingConfiguration(
        method: .lora(LoRAConfiguration(rank: rank, alpha: Double(2 * rank), dropout: 0)), epochs: 1,
        rowTokens: rowTokens, learningRate: 1e-4, precision: .bfloat16,
        recomputesActivations: arguments.contains("recompute"), seed: 1)
    let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 1, dtype: plan.baseDType, device: .best))
    let rows = EpochRows(examples, epochs: 1, rowTokens: rowTokens, seed: 1)
    var counted = rows
    var computed = 0
    while let row = counted.next() { computed += row.tokens.count }
    let start = ContinuousClock.now
    let losses = try Trainer(network, configuration: plan).run(rows) { step in
        let line = String(
            format: "%d/%d  loss %.3f  %.0f tokens/s\n", step.update, step.updates, step.loss, step.rate)
        FileHandle.standardError.write(Data(line.utf8))
    }
    let seconds = start.duration(to: .now) / .seconds(1)
    let useful = examples.reduce(0) { $0 + $1.tokens.count }
    print(
        """
        {"tokens": \(useful), "computed": \(computed), "rows": \(losses.count), "seconds": \(seconds), \
        "rate": \(Double(useful) / seconds), "memory": \(peakMemory()), "loss": \(losses.first ?? 0)}
        """)
}
