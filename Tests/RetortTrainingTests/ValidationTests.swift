import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@testable import RetortTraining

private let shape = DecoderConfiguration.qwen2(
    vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
    maximumPositions: 64)

private func network() throws -> DecoderNetwork { try DecoderNetwork(shape, weights: RandomWeights(seed: 2)) }

/// Samples whose second half repeats their first; the same for the same seed.
private func echoes(_ count: Int, seed: UInt64 = 9) -> [TrainingExample] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { number in
        let half = (0..<4).map { _ in Int32.random(in: 1..<64, using: &generator) }
        return TrainingExample(
            id: "\(number)", tokens: half + half,
            trainable: Array(repeating: false, count: 4) + [true, true, true, true])
    }
}

private func rows(_ configuration: TrainingConfiguration, count: Int = 24) -> EpochRows {
    EpochRows(echoes(count), epochs: configuration.epochs, rowTokens: configuration.rowTokens, seed: configuration.seed)
}

private let methods: [TrainingConfiguration.Method] = [
    .full, .lora(LoRAConfiguration(rank: 4, alpha: 8, dropout: 0.3)),
]

private func weights(_ network: DecoderNetwork) throws -> [[Float]] {
    let adapters = network.projections.compactMap(\.linear.adapter)
    return try network.parameters.map { try $0.tensor.floats() }
        + adapters.flatMap { [try $0.down.floats(), try $0.up.floats()] }
}

private func scratch() -> URL { FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())") }

@Suite("Validation while training")
struct ValidationTests {
    /// Six updates an epoch; learns the training samples by heart, which helps nobody else.
    private func plan(
        _ method: TrainingConfiguration.Method = .full, epochs: Int = 2, looking validation: ValidationPlan? = nil
    ) -> TrainingConfiguration {
        TrainingConfiguration(
            method: method, epochs: epochs, rowTokens: 32, learningRate: 3e-2, schedule: .constant,
            precision: .float32, seed: 1, validation: validation, checkpointMinutes: 1000)
    }

    private let held = HeldOutSamples(echoes(7, seed: 5), rowTokens: 24)

    @Test(
        "the held-out loss is the mean over the targets of the samples one by one, nothing dropped and nothing changed")
    func loss() throws {
        let trained = try network()
        _ = try Trainer(trained, configuration: plan(methods[1])).run(rows(plan()))
        let before = try weights(trained)
        let samples = echoes(7, seed: 5)
        let single = try samples.map { try HeldOutSamples([$0], rowTokens: 24).loss(trained) }
        let mean = single.reduce(0, +) / Double(single.count)
        #expect(abs(try held.loss(trained) - mean) < 1e-5)
        #expect(try held.loss(trained) == held.loss(trained))
        #expect(held.targets == samples.reduce(0) { $0 + $1.targetCount })
        #expect(trained.projections.compactMap(\.linear.adapter).allSatisfy { $0.dropout == 0.3 })
        #expect(try weights(trained) == before)
        #expect(try trained.projections.allSatisfy { try $0.linear.adapter?.up.gradient() == nil })
    }

    @Test("samples without a target are not looked at, and the run goes to its end")
    func nothing() throws {
        let empty = HeldOutSamples([TrainingExample(id: "a", tokens: [1, 2], trainable: [true, false])], rowTokens: 8)
        let plan = plan(looking: ValidationPlan(every: 1, patience: 1))
        let outcome = try Trainer(network(), configuration: plan).train(rows(plan), heldOut: empty)
        #expect(outcome.curve.points.isEmpty && outcome.losses.count == 12 && outcome.kept == 12)
    }

    @Test("a look changes nothing of the training", arguments: methods)
    func silent(method: TrainingConfiguration.Method) throws {
        let (plain, watched) = (plan(method), plan(method, looking: ValidationPlan(every: 1, keeps: .last)))
        let (first, second) = (try network(), try network())
        let losses = try Trainer(first, configuration: plain).run(rows(plain))
        let outcome = try Trainer(second, configuration: watched).train(rows(watched), heldOut: held)
        #expect(outcome.losses == losses && outcome.kept == 12)
        #expect(outcome.curve.points.map(\.update) == Array(0...12))
        #expect(try weights(first) == weights(second))
    }

    @Test(
        "the run ends with the weights of the smallest held-out loss, and early when no look is better",
        arguments: methods)
    func best(method: TrainingConfiguration.Method) throws {
        let plan = plan(method, epochs: 12, looking: ValidationPlan(every: 3, patience: 2))
        let trained = try network()
        let outcome = try Trainer(trained, configuration: plan).train(rows(plan), heldOut: held)
        let best = try #require(outcome.curve.points.map(\.loss).min())
        #expect(outcome.planned == 72 && outcome.losses.count < 72)
        #expect(outcome.losses.count == outcome.kept + 6)
        #expect(outcome.curve.best == ValidationCurve.Point(update: outcome.kept, loss: best))
        #expect(outcome.curve.looksSinceBest == 2)
        #expect(try held.loss(trained) == best)
    }

    @Test("without patience a run goes to its end, and still ends with its best weights")
    func patience() throws {
        let plan = plan(epochs: 6, looking: ValidationPlan(every: 5))
        let trained = try network()
        let outcome = try Trainer(trained, configuration: plan).train(rows(plan), heldOut: held)
        #expect(outcome.losses.count == 36 && outcome.kept < 36)
        #expect(outcome.curve.points.map(\.update) == [0, 5, 10, 15, 20, 25, 30, 35, 36])
        #expect(try held.loss(trained) == outcome.curve.best?.loss)
    }

    @Test("of equal losses the earliest counts")
    func ties() {
        var curve = ValidationCurve()
        let isBest = [2.0, 1, 1, 3].enumerated().map { curve.add(.init(update: $0, loss: $1)) }
        #expect(isBest == [true, true, false, false] && curve.best?.update == 1 && curve.looksSinceBest == 2)
    }

    private struct Stop: Error {}

    /// What a run leaves that was broken off after an update or after a look, and then went on.
    private func broken(
        _ plan: TrainingConfiguration, _ folder: URL, afterUpdate: Int? = nil, afterLook: Int? = nil
    ) throws -> (Trainer.Outcome, [[Float]]) {
        #expect(throws: Stop.self) {
            try Trainer(network(), configuration: plan, checkpoints: folder).train(rows(plan), heldOut: held) {
                if $0.update == afterUpdate { throw Stop() }
            } looked: {
                if $0.points.last?.update == afterLook { throw Stop() }
            }
        }
        let resumed = try network()
        let outcome = try Trainer(resumed, configuration: plan, checkpoints: folder).train(rows(plan), heldOut: held)
        return (outcome, try weights(resumed))
    }

    @Test(
        "a run that was broken off makes the same choice, wherever that was and however old its checkpoint is",
        arguments: methods, [0, 1000.0])
    func resume(method: TrainingConfiguration.Method, minutes: Double) throws {
        var plan = plan(method, epochs: 12, looking: ValidationPlan(every: 3, patience: 2))
        plan.checkpointMinutes = minutes
        let undisturbed = try network()
        let expected = try Trainer(undisturbed, configuration: plan).train(rows(plan), heldOut: held)
        let last = expected.losses.count
        for (update, look) in [(1, nil), (3, nil), (nil, 3), (last, nil), (nil, last), (nil, 0)] as [(Int?, Int?)] {
            let folder = scratch()
            defer { try? FileManager.default.removeItem(at: folder) }
            let (outcome, resumed) = try broken(plan, folder, afterUpdate: update, afterLook: look)
            #expect(outcome.losses == expected.losses && outcome.curve == expected.curve)
            #expect(outcome.kept == expected.kept && outcome.planned == expected.planned)
            #expect(try resumed == weights(undisturbed))
        }
    }

    @Test("a run that is cancelled in a look keeps its updates, and looks again", arguments: [0, 3])
    func cancelled(look: Int) async throws {
        let plan = plan(looking: ValidationPlan(every: 3))
        let folder = scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try network()
        let expected = try Trainer(undisturbed, configuration: plan).train(rows(plan), heldOut: held)
        let held = held
        let work = Task {
            // The update before the look is told of, and the look is the next thing.
            _ = try Trainer(network(), configuration: plan, checkpoints: folder).train(rows(plan), heldOut: held) {
                if $0.update == look { withUnsafeCurrentTask { $0?.cancel() } }
            } looked: {
                if look == 0, $0.points.count == 1 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        await #expect(throws: CancellationError.self) { try await work.value }
        let resumed = try network()
        var first: Int?
        let outcome = try Trainer(resumed, configuration: plan, checkpoints: folder).train(rows(plan), heldOut: held) {
            first = first ?? $0.update
        }
        #expect(first == look + 1)
        #expect(outcome.losses == expected.losses)
        #expect(outcome.curve == expected.curve)
        #expect(outcome.kept == expected.kept)
        #expect(try weights(resumed) == weights(undisturbed))
    }

    @Test("a run keeps one file, at most four times as large as what it trains")
    func disk() throws {
        var plan = plan(epochs: 4, looking: ValidationPlan(every: 1))
        plan.checkpointMinutes = 0
        let folder = scratch()
        defer { try? FileManager.default.removeItem(at: folder) }
        let trained = try network()
        let bytes = try trained.parameters.map { try $0.tensor.floats().count * 4 }.reduce(0, +)
        var largest = 0
        _ = try Trainer(trained, configuration: plan, checkpoints: folder).train(rows(plan), heldOut: held) { _ in
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(names.count <= 1)
            for name in names {
                largest = max(largest, try Data(contentsOf: folder.appendingPathComponent(name)).count)
            }
        }
        #expect(largest > 3 * bytes && largest < 4 * bytes + 65_536)
    }
}

@Suite("A learning rate by a range test")
struct RateRangeTestTests {
    private func plan(_ method: TrainingConfiguration.Method = .full) -> TrainingConfiguration {
        TrainingConfiguration(
            method: method, epochs: 2, rowTokens: 32, learningRate: 1e-2, precision: .float32, seed: 1)
    }

    private let climb = RateRangeTest.Plan(updates: 60, from: 1e-4, to: 10)

    private func list(_ plan: TrainingConfiguration) -> [PackedRow] {
        var rows = rows(plan)
        var list: [PackedRow] = []
        while let row = rows.next() { list.append(row) }
        return list
    }

    @Test(
        "is the same each time, leaves the weights as they were, and a training after it as it would have been",
        arguments: methods)
    func restored(method: TrainingConfiguration.Method) throws {
        let plan = plan(method)
        let (tested, plain) = (try network(), try network())
        let trainer = try Trainer(tested, configuration: plan)
        let before = try weights(tested)
        let first = try trainer.rangeTest(climb, rows: list(plan))
        #expect(try weights(tested) == before)
        #expect(try trainer.rangeTest(climb, rows: list(plan)) == first)
        #expect(try trainer.run(rows(plan)) == Trainer(plain, configuration: plan).run(rows(plan)))
        #expect(try weights(tested) == weights(plain))
    }

    @Test("climbs geometrically, ends where the loss has turned, and takes a tenth of the rate of the lowest loss")
    func curve() throws {
        let test = try Trainer(network(), configuration: plan()).rangeTest(climb, rows: list(plan()))
        let lowest = try #require(test.lowest)
        #expect(test.points[0].rate == 1e-4 && test.points.count < 60)
        for (a, b) in zip(test.points, test.points.dropFirst()) {
            #expect(abs(b.rate / a.rate - pow(1e5, 1.0 / 59)) < 1e-6)
        }
        let rate = try #require(test.rate)
        #expect(abs(rate / (lowest.rate / 10) - 1) < 0.05)
        // The rate learns: the loss of a training with it falls well.
        var chosen = plan()
        (chosen.learningRate, chosen.epochs) = (rate, 20)
        let losses = try Trainer(network(), configuration: chosen).run(rows(chosen))
        #expect(losses[losses.count - 1] < losses[0] * 0.7)
        #expect(
            try JSONCoding.decoder.decode(RateRangeTest.self, from: JSONCoding.encoder.encode(test)).points
                == test.points)
    }

    @Test("a loss that never falls shows nothing, and one that is no number ends the curve")
    func shapeless() {
        var flat = RateRangeTest()
        let turns = (1...20).map { flat.add(rate: Double($0), ratio: 1) }
        #expect(!turns.contains(true) && flat.rate == nil && flat.points.count == 20)
        var test = RateRangeTest()
        let ended = [test.add(rate: 0.1, ratio: 0.9), test.add(rate: 0.2, ratio: .nan)]
        #expect(ended == [false, true])
        #expect(test.points.count == 1)
    }

    @Test("without a row there is nothing to test with")
    func empty() throws {
        #expect(throws: Preflight.Refusal.self) {
            try Trainer(network(), configuration: plan()).rangeTest(climb, rows: [])
        }
    }
}

@Suite("A plan by size")
struct SizeDialTests {
    @Test(
        "what is known from trials comes out, and sizes beside it move with reason",
        arguments: [
            (576, 1200, 32, 1e-3, 2), (576, 300, 16, 1e-3, 4), (576, 10_000, 64, 1e-3, 1), (4096, 1200, 32, 2.1e-4, 1),
            (224, 1200, 16, 2.1e-3, 3), (576, 40, 8, 1e-3, 4), (64, 1200, 8, 3e-3, 4), (16, 0, 4, 3e-3, 4),
        ])
    func adapters(width: Int, samples: Int, rank: Int, rate: Double, epochs: Int) {
        let dial = SizeDial(width: width, samples: samples, method: .lora(LoRAConfiguration()))
        #expect(dial.rank == rank && dial.rate == rate && dial.epochs == epochs, "\(dial)")
    }

    @Test(
        "the rate of full weights falls with the width",
        arguments: [(128, 2.6e-3), (224, 1.5e-3), (384, 8.7e-4), (2048, 1.6e-4)])
    func full(width: Int, rate: Double) {
        let dial = SizeDial(width: width, samples: 4500, method: .full)
        #expect(abs(dial.rate / rate - 1) < 0.05 && dial.epochs == 1, "\(dial)")
    }
}
