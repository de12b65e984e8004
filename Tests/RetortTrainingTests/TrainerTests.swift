import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import RetortTraining
import Testing

private let shape = DecoderConfiguration.qwen2(
    vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
    maximumPositions: 64)

/// Samples whose second half repeats their first.
private func echoes(_ count: Int) -> [TrainingExample] {
    var generator = SeededGenerator(seed: 9)
    return (0..<count).map { number in
        let half = (0..<4).map { _ in Int32.random(in: 1..<64, using: &generator) }
        return TrainingExample(
            id: "\(number)", tokens: half + half,
            trainable: Array(repeating: false, count: 4) + [true, true, true, true])
    }
}

private func network() throws -> DecoderNetwork { try DecoderNetwork(shape, weights: RandomWeights(seed: 2)) }

private func rows(_ configuration: TrainingConfiguration, count: Int = 24) -> EpochRows {
    EpochRows(echoes(count), epochs: configuration.epochs, rowTokens: configuration.rowTokens, seed: configuration.seed)
}

@Suite("Trainer")
struct TrainerTests {
    private var configuration: TrainingConfiguration {
        TrainingConfiguration(
            epochs: 2, rowTokens: 32, learningRate: 1e-2, precision: .float32, seed: 1, checkpointMinutes: 0)
    }

    @Test("the loss falls")
    func learns() throws {
        var longer = configuration
        longer.epochs = 20
        let losses = try Trainer(network(), configuration: longer).run(rows(longer))
        #expect(losses[losses.count - 1] < losses[0] / 2)
    }

    @Test(
        "a run that was broken off resumes to the same weights",
        arguments: [
            TrainingConfiguration.Method.full, .lora(LoRAConfiguration(rank: 4, alpha: 8, dropout: 0.1)),
        ])
    func resume(method: TrainingConfiguration.Method) throws {
        var plan = configuration
        plan.method = method
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try network()
        let expected = try Trainer(undisturbed, configuration: plan).run(rows(plan))

        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try Trainer(network(), configuration: plan, checkpoints: folder).run(rows(plan)) { progress in
                if progress.update == 5 { throw Stop() }
            }
        }
        let resumed = try network()
        let losses = try Trainer(resumed, configuration: plan, checkpoints: folder).run(rows(plan))
        #expect(losses == expected)
        for (a, b) in zip(undisturbed.parameters, resumed.parameters) {
            #expect(try a.tensor.floats() == b.tensor.floats())
        }
    }

    @Test("a run does not go on with other rows, more or fewer, and the network stays as it was")
    func otherRows() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try breakOff(after: 3, in: folder)
        var other = echoes(24)
        // More than half, so that some are among the rows done.
        for number in 0..<13 { other[number].tokens[5] = 1 + other[number].tokens[5] % 62 }
        var masked = echoes(24)
        for number in masked.indices { masked[number].weights[4] = 0 }
        var reordered = configuration
        reordered.seed += 1
        let sources = [
            EpochRows(other, configuration), EpochRows(masked, configuration),
            EpochRows(echoes(24).reversed(), configuration), rows(configuration, count: 25),
            rows(configuration, count: 8), rows(reordered),
        ]
        for source in sources {
            let untouched = try network()
            let before = try untouched.parameters.map { try $0.tensor.floats() }
            let error = #expect(throws: TrainerError.self) {
                try Trainer(untouched, configuration: configuration, checkpoints: folder).run(source)
            }
            guard case .otherRows = error else {
                Issue.record("another error: \(String(describing: error))")
                continue
            }
            #expect(try untouched.parameters.map { try $0.tensor.floats() } == before)
        }
        #expect(try firstUpdate(in: folder) == 4)
    }

    @Test("a checkpoint from before rows were told is taken up, unless it has more updates than there are")
    func untoldRows() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        try breakOff(after: 3, in: folder)
        let file = folder.appendingPathComponent("training.safetensors")
        // The key gets another name of the same length, and is no longer found.
        var bytes = try Data(contentsOf: file)
        let key = try #require(bytes.range(of: Data("\"rows\"".utf8)))
        bytes.replaceSubrange(key, with: Data("\"past\"".utf8))
        try bytes.write(to: file)
        #expect(throws: TrainerError.self) {
            try Trainer(network(), configuration: configuration, checkpoints: folder)
                .run(rows(configuration, count: 4))
        }
        #expect(try firstUpdate(in: folder) == 4)
    }

    /// Begins a run, and breaks it off with a checkpoint after some updates.
    private func breakOff(after updates: Int, in folder: URL) throws {
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try Trainer(network(), configuration: configuration, checkpoints: folder).run(rows(configuration)) {
                if $0.update == updates { throw Stop() }
            }
        }
    }

    /// The first update of a run that goes on.
    private func firstUpdate(in folder: URL) throws -> Int? {
        var first: Int?
        try Trainer(network(), configuration: configuration, checkpoints: folder).run(rows(configuration)) {
            first = first ?? $0.update
        }
        return first
    }

    /// Ends the task that it is called in.
    private func cancelThisTask() { withUnsafeCurrentTask { $0?.cancel() } }

    @Test(
        "a cancelled run loses no update and resumes to the same weights, wherever it is stopped",
        arguments: [1, 4, 7],
        [
            TrainingConfiguration.Method.full, .lora(LoRAConfiguration(rank: 4, alpha: 8, dropout: 0.1)),
        ])
    func cancel(after stop: Int, method: TrainingConfiguration.Method) async throws {
        var plan = configuration
        plan.method = method
        // No checkpoint by time within this test.
        plan.checkpointMinutes = 1000
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try network()
        let expected = try Trainer(undisturbed, configuration: plan).run(rows(plan))

        let planned = plan
        let work = Task {
            _ = try Trainer(network(), configuration: planned, checkpoints: folder).run(rows(planned)) { progress in
                if progress.update == stop { cancelThisTask() }
            }
        }
        await #expect(throws: CancellationError.self) { try await work.value }
        let resumed = try network()
        var first: Int?
        let losses = try Trainer(resumed, configuration: plan, checkpoints: folder).run(rows(plan)) { progress in
            first = first ?? progress.update
        }
        #expect(first == stop + 1)
        #expect(losses == expected)
        for (a, b) in zip(undisturbed.parameters, resumed.parameters) {
            #expect(try a.tensor.floats() == b.tensor.floats())
        }
    }

    /// A source whose rows cancel the task as they are handed out: the update at hand is then given up.
    private struct CancellingRows: RowSource {
        var rows: EpochRows
        var left: Int
        var rowCount: Int? { rows.rowCount }

        mutating func next() -> PackedRow? {
            left -= 1
            if left == 0 { withUnsafeCurrentTask { $0?.cancel() } }
            return rows.next()
        }
    }

    @Test("an update that was begun when the task was cancelled is done again, not counted twice")
    func cancelWithinUpdate() async throws {
        var plan = configuration
        plan.accumulation = 2
        plan.checkpointMinutes = 1000
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let expected = try Trainer(network(), configuration: plan).run(rows(plan))
        let planned = plan
        let work = Task {
            // The second row of the third update.
            let source = CancellingRows(rows: rows(planned), left: 6)
            _ = try Trainer(network(), configuration: planned, checkpoints: folder).run(source)
        }
        await #expect(throws: CancellationError.self) { try await work.value }
        var first: Int?
        let losses = try Trainer(network(), configuration: plan, checkpoints: folder).run(rows(plan)) { progress in
            first = first ?? progress.update
        }
        #expect(first == 3)
        #expect(losses == expected)
    }

    @Test("the way back ends when the task is cancelled")
    func interruptedBackward() async throws {
        let work = Task {
            try interruptible {
                let x = try Tensor.normal([4, 8], deviation: 1, seed: 1).requireGradient()
                let norm = try x.rmsNorm(Tensor.full([8], 1), epsilon: 1e-5).sum()
                cancelThisTask()
                try norm.backward()
            }
        }
        await #expect(throws: CancellationError.self) { try await work.value }
    }

    @Test("checkpoints come by time: each update at zero minutes, none before their time", arguments: [0, 1000.0])
    func byTime(minutes: Double) throws {
        var plan = configuration
        plan.checkpointMinutes = minutes
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try Trainer(network(), configuration: plan, checkpoints: folder).run(rows(plan)) { progress in
                if progress.update == 3 { throw Stop() }
            }
        }
        var first: Int?
        try Trainer(network(), configuration: plan, checkpoints: folder).run(rows(plan)) { progress in
            first = first ?? progress.update
        }
        // An error is no request: what was done since the last checkpoint is done again.
        #expect(first == (minutes == 0 ? 4 : 1))
    }

    @Test("how often checkpoints come is no part of what a run is")
    func sameRun() throws {
        var other = configuration
        other.checkpointMinutes = 7
        #expect(try JSONCoding.encoder.encode(configuration) == JSONCoding.encoder.encode(other))
    }

    /// Weights whose loss is finite, while the squares of their gradients are too large for float32: what goes up comes down.
    private struct SteepWeights: WeightSource {
        func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
            let plain = try RandomWeights(seed: 2).tensor(name, shape)
            if name.hasSuffix("up_proj.weight") { return try plain * 1e28 }
            return name.hasSuffix("down_proj.weight") ? try plain * 1e-28 : plain
        }
    }

    @Test("a gradient norm that is no finite number ends the run before anything is changed", arguments: [0, 1000.0])
    func notFinite(minutes: Double) throws {
        var plan = configuration
        plan.checkpointMinutes = minutes
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let steep = try DecoderNetwork(shape, weights: SteepWeights())
        let before = try steep.parameters.map { try $0.tensor.floats() }
        for _ in 0..<2 {
            let error = #expect(throws: TrainerError.self) {
                try Trainer(steep, configuration: plan, checkpoints: folder).run(rows(plan))
            }
            guard case .gradientNotFinite(update: 1, _) = error else {
                Issue.record("another error: \(String(describing: error))")
                return
            }
            for ((_, tensor), values) in zip(steep.parameters, before) { #expect(try tensor.floats() == values) }
        }
        #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("training.safetensors").path))
    }

    @Test("LoRA changes its adapters and nothing else")
    func lora() throws {
        var plan = configuration
        plan.method = .lora(LoRAConfiguration(rank: 4, alpha: 8, dropout: 0, targets: ["q_proj", "v_proj"]))
        let trained = try network()
        try Trainer(trained, configuration: plan).run(rows(plan))
        for (a, b) in zip(try network().parameters, trained.parameters) {
            #expect(try a.tensor.floats() == b.tensor.floats())
        }
        let adapted = trained.projections.filter { $0.linear.adapter != nil }.map(\.name)
        #expect(adapted.count == 4)
        #expect(adapted.allSatisfy { $0.hasSuffix("q_proj") || $0.hasSuffix("v_proj") })
    }

    @Test("a target names whole parts of a projection's name, as in PEFT")
    func targets() {
        let name = "model.layers.11.self_attn.q_proj"
        func reaches(_ targets: [String]?) -> Bool { LoRAConfiguration(targets: targets).reaches(name) }
        #expect(reaches(["v_proj", "q_proj"]) && reaches(["self_attn.q_proj"]) && reaches([name]) && reaches(nil))
        for other in ["_proj", "proj", "", "attn.q_proj", "1.self_attn.q_proj", ".q_proj", "Q_PROJ", "self_attn"] {
            #expect(!reaches([other]), "\(other)")
        }
        #expect(!reaches([]))
    }

    @Test("an unknown LoRA target is refused", arguments: ["nothing_proj", "proj", ""])
    func unknownTarget(name: String) throws {
        var plan = configuration
        plan.method = .lora(LoRAConfiguration(targets: [name]))
        #expect(throws: TrainerError.self) { try Trainer(network(), configuration: plan) }
    }

    @Test("packing samples in a row changes neither loss nor gradients")
    func packing() throws {
        func losses(rowTokens: Int) throws -> [Double] {
            var plan = configuration
            plan.rowTokens = rowTokens
            // All samples in one update, in one row or in many.
            plan.accumulation = rowTokens == 8 ? 8 : 1
            plan.epochs = 1
            return try Trainer(network(), configuration: plan).run(rows(plan, count: 8))
        }
        let (packed, single) = (try losses(rowTokens: 64), try losses(rowTokens: 8))
        #expect(packed.count == 1 && single.count == 1)
        #expect(abs(packed[0] - single[0]) < 1e-5)
    }

    @Test("the learning rate warms up and falls to zero")
    func schedule() {
        let plan = TrainingConfiguration(learningRate: 1, schedule: .linear, warmup: 0.5)
        #expect(
            (1...10).map { plan.rate(at: $0, of: 10) } == [
                0.2, 0.4, 0.6, 0.8, 1, 1, 0.8, 0.6, 0.4, 0.19999999999999996,
            ])
    }
}

@Suite("Preflight")
struct PreflightTests {
    private var chat: RenderedChat {
        var chat = RenderedChat()
        chat.tokens = [1, 2, 3, 9]
        chat.roles = [.user, .user, .assistant, .assistant]
        chat.trainable = [false, false, true, true]
        return chat
    }

    @Test("a sound sample passes")
    func sound() throws { try Preflight.check(chat, id: "a", endOfTurn: 9) }

    @Test("a sample with nothing to learn is refused")
    func nothing() {
        var chat = chat
        chat.trainable = [false, false, false, false]
        #expect(throws: Preflight.Refusal.nothingTrainable(id: "a")) {
            try Preflight.check(chat, id: "a", endOfTurn: 9)
        }
    }

    @Test("training on the user's tokens is refused")
    func foreign() {
        var chat = chat
        chat.trainable[1] = true
        #expect(throws: Preflight.Refusal.foreignTokenTrainable(id: "a", role: .user, token: "2")) {
            try Preflight.check(chat, id: "a", endOfTurn: 9)
        }
    }

    @Test("a masked end of turn is refused")
    func maskedEnd() {
        var chat = chat
        chat.trainable[3] = false
        #expect(throws: Preflight.Refusal.stopTokenMasked(id: "a")) { try Preflight.check(chat, id: "a", endOfTurn: 9) }
    }
}
