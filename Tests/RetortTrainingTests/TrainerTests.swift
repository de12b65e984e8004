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
            epochs: 2, rowTokens: 32, learningRate: 1e-2, precision: .float32, seed: 1, checkpointEvery: 2)
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

    @Test("an unknown LoRA target is refused")
    func unknownTarget() throws {
        var plan = configuration
        plan.method = .lora(LoRAConfiguration(targets: ["nothing_proj"]))
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
