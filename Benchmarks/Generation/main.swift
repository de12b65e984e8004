import Foundation
import RetortCore
import RetortLLM
import RetortTensor

/// Times generation with a checkpoint, and prints what it took as JSON.
///
///     generate-bench make CONFIG.json TOKENIZER_FOLDER OUT       random weights in bfloat16
///     generate-bench turns FOLDER PROMPT_CHARACTERS STEPS [int8 | int4 | cuda | cuda-launched]
///     generate-bench adapters FOLDER RANK COUNT                  memory with adapters side by side
///
/// `turns` reads a number of samples a line and writes the seconds of a step, so that engines can take turns while all of them
/// stay loaded. On CUDA, steps are recorded and replayed; `cuda-launched` launches each kernel by itself.
/// `Benchmarks/generate.py` runs it beside its peers.
ComputeThreads.restartWithSleepingWaits()
let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case "make" where arguments.count == 4:
    let shape = try DecoderConfiguration(configFile: URL(fileURLWithPath: arguments[1]))
    let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 1, dtype: .bfloat16))
    try Checkpoint.write(
        network, dtype: .bfloat16, tokenizerFrom: URL(fileURLWithPath: arguments[2]),
        to: URL(fileURLWithPath: arguments[3]))
case "turns" where arguments.count >= 4:
    guard let length = Int(arguments[2]), let steps = Int(arguments[3]) else { exit(2) }
    try await takeTurns(
        URL(fileURLWithPath: arguments[1]), promptLength: length, steps: steps, arguments.dropFirst(4).first ?? "")
case "adapters" where arguments.count == 4:
    guard let rank = Int(arguments[2]), let count = Int(arguments[3]) else { exit(2) }
    try await serveAdapters(URL(fileURLWithPath: arguments[1]), rank: rank, count: count)
default:
    print(
        """
        generate-bench make CONFIG TOKENIZER OUT
        generate-bench turns FOLDER PROMPT_CHARACTERS STEPS [int8 | int4 | cuda | cuda-launched]
        generate-bench adapters FOLDER RANK COUNT
        """)
    exit(2)
}

/// For each line, a number of samples, generates with that many over one prompt and prints the seconds of a step.
///
/// The clock starts behind the second token, so neither the prompt's reading nor a cold start counts.
func takeTurns(_ folder: URL, promptLength: Int, steps: Int, _ variant: String) async throws {
    let model = try LocalModel(
        folder: folder,
        options: .init(
            device: variant.hasPrefix("cuda") ? .cuda : .cpu, weights: WeightPrecision(rawValue: variant) ?? .bfloat16,
            prefixTokens: 1 << 14, recordsSteps: variant == "cuda"))
    let prompt = String(repeating: "How many people live there? ", count: promptLength / 28 + 1)
    while let line = readLine() {
        guard let samples = Int(line) else { exit(2) }
        let request = GenerationRequest(
            messages: [Message(.user, prompt)], samples: samples,
            sampling: samples == 1 ? .greedy : Sampling(temperature: 1, seed: 3), maximumTokens: steps + 2, report: .ids
        )
        var counts = [Int](repeating: 0, count: samples)
        var start: ContinuousClock.Instant?
        for try await event in model.stream(request) {
            guard case .token(let sample, _) = event else { continue }
            counts[sample] += 1
            if start == nil, counts.allSatisfy({ $0 >= 2 }) { start = .now }
        }
        guard let start, counts.allSatisfy({ $0 == steps + 2 }) else {
            FileHandle.standardError.write(Data("a sample ended early: \(counts)\n".utf8))
            exit(1)
        }
        print(start.duration(to: .now) / .seconds(1) / Double(steps))
        fflush(nil)
    }
    if variant == "cuda", let reason = await model.recordingFailure {
        FileHandle.standardError.write(Data("steps were not recorded: \(reason)\n".utf8))
    }
}

/// Serves adapters of a rank beside all projections, each answering once in one batch, and prints the memory it took.
func serveAdapters(_ base: URL, rank: Int, count: Int) async throws {
    let shape = try Checkpoint(folder: base).configuration
    let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
    defer { try? FileManager.default.removeItem(at: scratch) }
    var folders: [String: URL] = [:]
    for number in 0..<count {
        let folder = scratch.appendingPathComponent("\(number)")
        try writeAdapter(shape, rank: rank, seed: UInt64(number), base: base, to: folder)
        folders["\(number)"] = folder
    }
    let model = try LocalModel(folder: base, options: .init(weights: .bfloat16, adapters: folders))
    try await withThrowingTaskGroup(of: Void.self) { group in
        for name in [nil] + folders.keys.map({ Optional($0) }) {
            group.addTask {
                _ = try await model.complete(
                    GenerationRequest(messages: [Message(.user, "Hello")], maximumTokens: 8, adapter: name))
            }
        }
        try await group.waitForAll()
    }
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    print(
        status.split(separator: "\n").filter { $0.hasPrefix("VmRSS") || $0.hasPrefix("VmHWM") }.joined(separator: "\n"))
}

func writeAdapter(_ shape: DecoderConfiguration, rank: Int, seed: UInt64, base: URL, to folder: URL) throws {
    let (hidden, inner) = (shape.hiddenSize, shape.intermediateSize)
    let queries = shape.headCount * shape.headDimension
    let keys = shape.keyValueHeadCount * shape.headDimension
    let widths = [
        ("self_attn.q_proj", hidden, queries), ("self_attn.k_proj", hidden, keys), ("self_attn.v_proj", hidden, keys),
        ("self_attn.o_proj", queries, hidden), ("mlp.gate_proj", hidden, inner), ("mlp.up_proj", hidden, inner),
        ("mlp.down_proj", inner, hidden),
    ]
    var tensors: [(name: String, tensor: Tensor)] = []
    for layer in 0..<shape.layerCount {
        for (name, inputs, outputs) in widths {
            let key = "base_model.model.model.layers.\(layer).\(name)"
            let (a, b) = (StableHash.of("\(seed) \(key) A"), StableHash.of("\(seed) \(key) B"))
            let down = try Tensor.normal([rank, inputs], deviation: 0.02, seed: a).to(.bfloat16)
            let up = try Tensor.normal([outputs, rank], deviation: 0.02, seed: b).to(.bfloat16)
            tensors += [("\(key).lora_A.weight", down), ("\(key).lora_B.weight", up)]
        }
    }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try SafetensorsFile.write(tensors, to: folder.appendingPathComponent("adapter_model.safetensors"))
    let configuration = AdapterConfiguration(
        baseModel: base.path, rank: rank, alpha: Double(rank), dropout: 0, targets: widths.map(\.0))
    try JSONCoding.prettyEncoder.encode(configuration).write(to: folder.appendingPathComponent("adapter_config.json"))
}
