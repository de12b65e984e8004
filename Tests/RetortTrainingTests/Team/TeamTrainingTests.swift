import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@testable import RetortTraining

private let shape = DecoderConfiguration.qwen2(
    vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
    maximumPositions: 64)

/// Samples whose second half repeats their first.
private func echoes(_ count: Int, seed: UInt64 = 9) -> [TrainingExample] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { number in
        let half = (0..<4).map { _ in Int32.random(in: 1..<64, using: &generator) }
        return TrainingExample(
            id: "\(number)", tokens: half + half,
            trainable: Array(repeating: false, count: 4) + [true, true, true, true])
    }
}

private struct Trained: Sendable {
    var outcome: Trainer.Outcome
    var weights: [String: [Float]]

    /// That of one process but for rounding. A bias of keys moves no score, so its gradient is rounding alone.
    func expectClose(to other: Trained) {
        #expect(outcome.losses.count == other.outcome.losses.count)
        for (a, b) in zip(outcome.losses, other.outcome.losses) { #expect(abs(a - b) < 1e-5) }
        #expect(outcome.curve.points.map(\.update) == other.outcome.curve.points.map(\.update))
        for (a, b) in zip(outcome.curve.points, other.outcome.curve.points) { #expect(abs(a.loss - b.loss) < 1e-5) }
        #expect(outcome.kept == other.outcome.kept)
        #expect(weights.keys == other.weights.keys)
        for (name, values) in weights where !name.contains("k_proj.bias") {
            for (a, b) in zip(values, other.weights[name] ?? []) { #expect(abs(a - b) < 1e-4, "\(name)") }
        }
    }
}

private struct Stop: Error {}

/// A process that ends in the middle of a training.
private actor Deserter {
    private nonisolated let executor = EngineExecutor(name: "deserter")
    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
    deinit { executor.finish() }

    func serve(_ team: TrainingTeam, until last: Int) throws {
        guard case .begin(let setup) = try team.receive().order else { throw Stop() }
        let trainer = try TeamTraining.follow(setup, team)
        work: while true {
            let (order, more) = try team.receive()
            switch order {
            case .update(let update) where update.number <= last:
                try trainer.update(update, TeamOrder.decode(more[team.rank]))
            case .gather: try trainer.sendMoments()
            default: break work
            }
        }
        team.leave()
    }
}

// One after the other: rank 0 trains on a thread of the pool, which has few, and the others need some to begin.
@Suite("Training on several processes", .serialized)
struct TeamTrainingTests {
    static let methods: [TrainingConfiguration.Method] = [
        .full, .lora(LoRAConfiguration(rank: 4, alpha: 8, dropout: 0.2)),
    ]

    private static func plan(
        _ method: TrainingConfiguration.Method, accumulation: Int, validates: Bool = false, recomputes: Bool = false
    ) -> TrainingConfiguration {
        TrainingConfiguration(
            method: method, epochs: 2, rowTokens: 32, accumulation: accumulation, learningRate: 3e-3,
            precision: .float32, recomputesActivations: recomputes, seed: 1,
            validation: validates ? ValidationPlan(every: 2) : nil, checkpointMinutes: 0)
    }

    private static func train(
        _ plan: TrainingConfiguration, _ team: TrainingTeam?, folder: URL? = nil,
        report: (Trainer.Progress) throws -> Void = { _ in }
    ) throws -> Trained {
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 2))
        let trainer = try Trainer(network, configuration: plan, checkpoints: folder, team: team)
        let rows = EpochRows(echoes(26), epochs: plan.epochs, rowTokens: plan.rowTokens, seed: plan.seed)
        let held = HeldOutSamples(echoes(7, seed: 5), rowTokens: 24)
        let outcome = try trainer.train(rows, heldOut: held, report: report)
        var weights: [String: [Float]] = [:]
        for (name, tensor) in network.parameters { weights[name] = try tensor.floats() }
        for (name, linear) in network.projections {
            guard let adapter = linear.adapter else { continue }
            weights["\(name).down"] = try adapter.down.floats()
            weights["\(name).up"] = try adapter.up.floats()
        }
        return Trained(outcome: outcome, weights: weights)
    }

    @Test(
        "losses, looks and weights are those of one process, whether rows are shared out or cut",
        arguments: methods, [(2, 1), (3, 4)])
    func same(method: TrainingConfiguration.Method, cut: (processes: Int, accumulation: Int)) async throws {
        let plan = Self.plan(
            method, accumulation: cut.accumulation, validates: true, recomputes: cut.accumulation > 1)
        let one = try Self.train(plan, nil)
        let several = try await LocalTeam.leading(cut.processes) { try Self.train(plan, $0) }
        several.expectClose(to: one)
    }

    @Test("a trainer takes the team of its task, and one team does one training after the other")
    func inTask() async throws {
        let plan = Self.plan(Self.methods[1], accumulation: 2)
        let one = try Self.train(plan, nil)
        let both = try await LocalTeam.leading(2) { team in
            #expect(TrainingTeam.current?.size == 2)
            return [try Self.train(plan, .current), try Self.train(plan, .current)]
        }
        for several in both { several.expectClose(to: one) }
    }

    @Test("a run goes on with another number of processes", arguments: methods)
    func resume(method: TrainingConfiguration.Method) async throws {
        let plan = Self.plan(method, accumulation: 2, validates: true)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try Self.train(plan, nil)
        @Sendable func stop(at update: Int, _ team: TrainingTeam?) {
            #expect(throws: Stop.self) {
                try Self.train(plan, team, folder: folder) { if $0.update == update { throw Stop() } }
            }
        }
        // Two processes, then one, then three.
        try await LocalTeam.leading(2) { stop(at: 3, $0) }
        stop(at: 5, nil)
        let last = try await LocalTeam.leading(3) { try Self.train(plan, $0, folder: folder) }
        last.expectClose(to: undisturbed)
    }

    /// Adapters' moments are whole in each process. Those of full weights are divided, and a lost process takes its own along: what counts
    /// is the last checkpoint, here of every update.
    @Test(
        "a process that ends is noticed and named, no saved update is lost, and one process goes on",
        arguments: [(methods[0], 0.0), (methods[1], 1000.0)])
    func leaving(method: TrainingConfiguration.Method, minutes: Double) async throws {
        var plan = Self.plan(method, accumulation: 2)
        plan.checkpointMinutes = minutes
        let settled = plan
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try Self.train(plan, nil)
        let team = try await LocalTeam.meet(3)
        let serving = Task { try await team[1].member.serve(team[1].team) }
        let deserting = Task { try await Deserter().serve(team[2].team, until: 4) }
        await #expect {
            try await team[0].team.leading {
                try Self.train(settled, .current, folder: folder)
            }
        } throws: { error in
            guard case TeamError.lost(let who) = error else { return false }
            return who.count == 1 && who[0].hasPrefix("rank 2 on ")
        }
        await #expect(throws: TeamError.self) { try await serving.value }
        try await deserting.value
        var first: Int?
        let resumed = try Self.train(plan, nil, folder: folder) { first = first ?? $0.update }
        #expect(first == 5)
        resumed.expectClose(to: undisturbed)
    }

    @Test(
        "whichever process is told to end, all of them end with every finished update in the checkpoint",
        arguments: [0, 1, 2])
    func interruption(rank: Int) async throws {
        var plan = Self.plan(.full, accumulation: 2, validates: true)
        plan.checkpointMinutes = 1000
        let settled = plan
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try Self.train(plan, nil)
        let team = try await LocalTeam.meet(3)
        let serving = team.dropFirst().map { each in Task { try await each.member.serve(each.team) } }
        let leading = Task {
            try await team[0].team.leading {
                try Self.train(settled, .current, folder: folder) { progress in
                    guard progress.update == 3 else { return }
                    if rank == 0 { withUnsafeCurrentTask { $0?.cancel() } } else { serving[rank - 1].cancel() }
                }
            }
        }
        await #expect {
            try await leading.value
        } throws: { error in
            rank == 0 ? error is CancellationError : error as? TeamError == .interrupted
        }
        for task in serving { await #expect(throws: (any Error).self) { try await task.value } }
        var first: Int?
        let resumed = try Self.train(plan, nil, folder: folder) { first = first ?? $0.update }
        #expect(first == 4)
        resumed.expectClose(to: undisturbed)
    }

    @Test("each process holds the moments of an equal part of the weights, and says how much that is")
    func memory() async throws {
        let plan = Self.plan(.full, accumulation: 2)
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 2))
        let count = network.parameters.reduce(0) { $0 + $1.tensor.count }
        let alone = try Trainer(network, configuration: plan, team: nil)
        #expect(!alone.dividesMoments && alone.optimizerBytes == count * 8)
        try await LocalTeam.leading(3) { team in
            let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 2))
            let trainer = try Trainer(network, configuration: plan, team: team)
            let rows = EpochRows(echoes(8), epochs: 1, rowTokens: 32, seed: 1)
            #expect(trainer.dividesMoments && trainer.optimizerBytes == (count + 2) / 3 * 8)
            #expect(trainer.note(on: rows)?.contains("optimizer's states") == true)
            var held: Int?
            try trainer.run(rows) { _ in held = trainer.parameters.heldBytes }
            #expect(held == trainer.optimizerBytes)
            let adapters = try Trainer(
                DecoderNetwork(shape, weights: RandomWeights(seed: 2)),
                configuration: Self.plan(Self.methods[1], accumulation: 1),
                team: team)
            #expect(!adapters.dividesMoments)
        }
    }

    @Test("with the moments divided, the weights become the same, within a hundredth of one step")
    func divided() async throws {
        let both = try await LocalTeam.leading(3) { team in
            try [true, false].map { holds in
                let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 2))
                let trainer = try Trainer(
                    network, configuration: Self.plan(.full, accumulation: 3), checkpoints: nil, team: team,
                    holdsMoments: holds)
                #expect(trainer.dividesMoments != holds)
                try trainer.run(EpochRows(echoes(26), epochs: 2, rowTokens: 32, seed: 1))
                return try network.parameters.map { (name: $0.name, values: try $0.tensor.floats()) }
            }
        }
        // Not to the last bit: how many threads are free decides in which order a gradient is summed, and Adam divides by small numbers.
        // A bias of keys learns from that rounding alone.
        let bound = Float(Self.plan(.full, accumulation: 3).learningRate) / 100
        for (whole, divided) in zip(both[0], both[1]) where !whole.name.contains("k_proj.bias") {
            for (a, b) in zip(whole.values, divided.values) { #expect(abs(a - b) < bound, "\(whole.name)") }
        }
    }

    @Test("a range test, which rank 0 does alone, leaves the weights and the training after it as they were")
    func rangeTest() async throws {
        let plan = Self.plan(.full, accumulation: 2)
        let one = try Self.train(plan, nil)
        let several = try await LocalTeam.leading(2) { team in
            let rows = EpochRows(echoes(26), epochs: plan.epochs, rowTokens: plan.rowTokens, seed: plan.seed)
            let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 2))
            let trainer = try Trainer(network, configuration: plan, team: team)
            _ = try trainer.rangeTest(.init(updates: 4, from: 1e-5, to: 1e-3), rows: Array(rows.rows.prefix(4)))
            #expect(trainer.parameters.heldBytes == 0)
            return try trainer.run(rows)
        }
        #expect(several.count == one.outcome.losses.count)
        for (a, b) in zip(several, one.outcome.losses) { #expect(abs(a - b) < 1e-5) }
    }

    @Test("a process that no longer answers is noticed in time, and named")
    func silence() async throws {
        let plan = Self.plan(Self.methods[1], accumulation: 2)
        let team = try await LocalTeam.meet(2, seconds: 1)
        #expect {
            try Self.train(plan, team[0].team)
        } throws: { error in
            guard case TeamError.silent(let who, 1) = error else { return false }
            return who.count == 1 && who[0].hasPrefix("rank 1 on ") && "\(error)".contains("--peer-timeout")
        }
        // Nothing more can be done with the rest.
        #expect(throws: TeamError.self) { try Self.train(plan, team[0].team) }
    }

    @Test("others are told why rank 0 ends early")
    func stopping() async throws {
        let team = try await LocalTeam.meet(2)
        let serving = Task { try await team[1].member.serve(team[1].team) }
        await #expect(throws: Stop.self) { try await team[0].team.leading { throw Stop() } }
        await #expect(throws: TeamError.stopped("Stop()")) { try await serving.value }
    }

    @Test("weights that go astray end the training as they do with one process")
    func notFinite() async throws {
        var plan = Self.plan(Self.methods[0], accumulation: 2)
        plan.learningRate = 1e30
        let settled = plan
        let team = try await LocalTeam.meet(2)
        let serving = Task { try await team[1].member.serve(team[1].team) }
        await #expect(throws: TrainerError.self) {
            try await team[0].team.leading { try Self.train(settled, .current) }
        }
        await #expect(throws: TeamError.self) { try await serving.value }
    }

    @Test("processes that do not come are named, and so is a rank that came twice and another program")
    func meeting() async throws {
        await #expect(throws: TeamError.missing(ranks: [1, 2, 3], size: 4, seconds: 5)) {
            _ = try await LocalTeam.meet(4, ranks: [0], joining: 5)
        }
        await #expect(throws: TeamError.rankTwice(1)) { _ = try await LocalTeam.meet(3, ranks: [0, 1, 1]) }
        await #expect {
            _ = try await LocalTeam.meet(2) { "program \($0)" }
        } throws: { error in
            guard case TeamError.otherProgram = error else { return false }
            return "\(error)".contains("program 0") && "\(error)".contains("program 1")
        }
    }
}
