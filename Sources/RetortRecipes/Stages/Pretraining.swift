import Foundation
import RetortCore
import RetortDomains
import RetortLLM
import RetortTensor
import RetortTraining
import RetortWorld

/// Makes a Seedling: a small base model that can read, copy and continue the world's text, and has never seen an
/// agent's trajectory.
package struct Pretraining: Codable, Sendable, Hashable {
    var name: String
    var seed: UInt64
    var tokenizer: String
    var textSeed: UInt64
    var hiddenSize: Int
    var intermediateSize: Int
    var layers: Int
    var heads: Int
    var rows: Int
    var configuration: TrainingConfiguration

    /// The record in the weights' folder.
    struct Record: Codable {
        var recipe: Pretraining
        var parameters: Int
        var data: DataRecord
        /// The mean of the last fifty updates, in nats per token.
        var loss: Double
    }

    /// The data that was read.
    package struct DataRecord: Codable, Sendable, Hashable {
        /// The hash of all tokens, in order.
        var hash: String
        var documents: Int
        var tokens: Int
    }

    /// Reads a pretraining recipe.
    /// - Throws: `RecipeError` with every fault and its line.
    package init(_ file: URL) throws {
        let root = try YAMLFile.root(YAMLFile.text(file), file: file.path)
        let faults = YAMLReader.Faults()
        let reader = YAMLReader(root, faults: faults)
        name = reader.string("name")
        seed = UInt64(reader.integer("seed", default: 1))
        tokenizer = reader.string("tokenizer")
        textSeed = UInt64(reader.integer("textSeed", default: 1))
        hiddenSize = reader.integer("hiddenSize", default: 128, in: 8...65_536)
        intermediateSize = reader.integer("intermediateSize", default: 384, in: 8...262_144)
        layers = reader.integer("layers", default: 4, in: 1...200)
        heads = reader.integer("heads", default: 4, in: 1...256)
        rows = reader.integer("rows", default: 1000, in: 1...100_000_000)
        if reader.has("validation") {
            reader.refuse(
                "validation",
                "pretraining reads every text once, so a loss of its own is that of unseen text; there is nothing to hold out"
            )
        }
        if reader.textIfAny("learningRate") == "auto" {
            reader.refuse(
                "learningRate",
                "a range test needs weights that know something, and pretraining begins with none; give a number")
        }
        configuration = TrainingConfiguration(
            rowTokens: reader.integer("rowTokens", default: 2048, in: 64...1_000_000),
            learningRate: reader.number("learningRate", default: 2e-3, in: 1e-9...1), schedule: .cosine, warmup: 0.03,
            weightDecay: 0.05, beta2: 0.98, seed: seed)
        reader.finish()
        guard faults.list.isEmpty else { throw RecipeError(file: file.path, faults: faults.list) }
    }

    /// Trains and writes the folder. An interrupted run with the same text, tokenizer and shape continues at its last
    /// checkpoint; after a change it starts again, and a finished one is kept.
    /// - Throws: `RunError`, and errors of training.
    package func run(into folder: URL) async throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent("training.json")
        let kept = (try? Data(contentsOf: file)).flatMap {
            try? JSONCoding.decoder.decode([String: StageRecord].self, from: $0)
        }
        let scheduler = Scheduler(kept ?? [:], failureLimit: 0) { records in
            try AtomicFile.write(JSONCoding.prettyEncoder.encode(records), to: file)
        }
        try await scheduler.run([PretrainStage(recipe: self, folder: folder, digests: FileDigests())])
    }

    /// The documents as samples.
    func examples(_ tokenizer: Tokenizer) throws -> some IteratorProtocol<TrainingExample> {
        guard let endOfText = tokenizer.id(of: "<|endoftext|>") else {
            throw TokenizerError.missingToken("<|endoftext|>")
        }
        return WorldText(seed: textSeed).enumerated().lazy.map { number, text in
            TrainingExample(document: text, id: "document \(number)", tokenizer: tokenizer, endOfText: endOfText)
        }.makeIterator()
    }

    /// The hash and counts of the data, computed by reading it once more.
    package func describeData() throws -> DataRecord {
        let examples = try examples(Tokenizer(URL(fileURLWithPath: tokenizer)))
        var source = StreamRows(examples, rows: rows, rowTokens: configuration.rowTokens)
        var hash: UInt64 = 0
        var (documents, tokens) = (0, 0)
        while let row = source.next() {
            hash = StableHash.of("\(hash) \(row.tokens)")
            documents += row.segments.count
            tokens += row.tokens.count
        }
        return DataRecord(hash: String(hash, radix: 16), documents: documents, tokens: tokens)
    }
}

/// A pretraining as a stage.
struct PretrainStage: Stage {
    let recipe: Pretraining
    let folder: URL
    let digests: FileDigests

    var name: String { "pretrain/\(recipe.name)" }
    var sources: [String] { [] }

    func inputs() async throws -> [StageInput] {
        var settings = recipe
        // It is identified by its content.
        settings.tokenizer = ""
        // The program that writes the text is part of the computation.
        return [.computation] + (try StageInput.settings("pretraining", settings))
            + [StageInput(name: "tokenizer", value: try digests.model(URL(fileURLWithPath: recipe.tokenizer)))]
    }

    func output() async throws -> String? { try digests.modelIfThere(folder) }

    /// Removes what training left between two updates. The folder may be that of a Seedling to be replaced: its weights
    /// stay until there are new ones.
    func clear() async throws {
        let state = folder.appendingPathComponent("training.safetensors")
        guard FileManager.default.fileExists(atPath: state.path) else { return }
        try FileManager.default.removeItem(at: state)
    }

    func run() async throws -> StageOutcome {
        try await PretrainingThread().run(recipe, into: folder)
        return .complete
    }
}

/// Pretrains on a thread of its own.
private actor PretrainingThread {
    private nonisolated let executor = EngineExecutor(name: "retort.pretraining")

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    deinit { executor.finish() }

    func run(_ recipe: Pretraining, into folder: URL) throws {
        let source = URL(fileURLWithPath: recipe.tokenizer)
        let tokenizer = try Tokenizer(source)
        let shape = DecoderConfiguration.qwen2(
            vocabularySize: tokenizer.vocabularySize, hiddenSize: recipe.hiddenSize,
            intermediateSize: recipe.intermediateSize, layerCount: recipe.layers, headCount: recipe.heads,
            keyValueHeadCount: recipe.heads)
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: recipe.seed))
        let trainer = try Trainer(network, configuration: recipe.configuration, checkpoints: folder)
        let progress = ProgressLine(recipe.name)
        let rows = StreamRows(
            try recipe.examples(tokenizer), rows: recipe.rows, rowTokens: recipe.configuration.rowTokens)
        let losses = try trainer.run(rows) { step in
            progress.show(
                step.update, of: step.updates, String(format: "loss %.3f  %.0f tokens/s", step.loss, step.rate))
        }
        try Checkpoint.write(network, dtype: .bfloat16, tokenizerFrom: source, to: folder)
        let record = Pretraining.Record(
            recipe: recipe, parameters: network.parameterCount, data: try recipe.describeData(),
            loss: losses.suffix(50).reduce(0, +) / Double(min(losses.count, 50)))
        try AtomicFile.write(
            JSONCoding.prettyEncoder.encode(record), to: folder.appendingPathComponent("manifest.json"))
        trainer.discardCheckpoint()
    }
}
