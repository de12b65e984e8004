import Foundation
import RetortCore
import RetortLLM
import RetortTensor
import Testing

@testable import RetortTraining

@Suite("Weights and kinds of loss")
struct StreamTests {
    private static let shape = DecoderConfiguration.qwen2(
        vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
        maximumPositions: 256)

    private func gradients(
        _ rows: [PackedRow], scales: ByLossKind<Double>? = nil, recomputes: Bool = false
    ) throws -> (loss: Double, gradients: [[Float]]) {
        let network = try DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2))
        for parameter in network.parameters { try parameter.tensor.requireGradient() }
        var loss = 0.0
        for row in rows {
            loss += try RowLoss.backward(row, network, scales: scales ?? rows.counts.scales, recomputes: recomputes)
        }
        return (loss, try network.parameters.map { try $0.tensor.gradient()?.floats() ?? [] })
    }

    private func words(_ count: Int, _ generator: inout SeededGenerator) -> [Int32] {
        (0..<count).map { _ in Int32.random(in: 1..<64, using: &generator) }
    }

    /// Samples of every kind that begin alike.
    private func mixed() -> [TrainingExample] {
        var generator = SeededGenerator(seed: 11)
        let start = words(40, &generator)
        let bodies = [10, 12, 14, 9, 11, 13, 8, 7].map { start + words($0, &generator) }
        func weights(_ tokens: [Int32], _ weight: (Int) -> Float) -> [Float] {
            tokens.indices.map { $0 < start.count ? 0 : weight($0) }
        }
        let floats = { (tokens: [Int32]) in tokens.indices.map { -2 - Float($0 % 5) / 3 } }
        func choices(_ tokens: [Int32]) -> [[TeacherChoice]] {
            tokens.map {
                [TeacherChoice($0, logProbability: -0.4), TeacherChoice(($0 + 7) % 64, logProbability: -1.5)]
            }
        }
        return [
            TrainingExample(id: "plain", tokens: bodies[0], weights: weights(bodies[0]) { _ in 1 }),
            TrainingExample(id: "weighed", tokens: bodies[1], weights: weights(bodies[1]) { Float($0 % 3) / 2 }),
            TrainingExample(
                id: "drawn", tokens: bodies[2], weights: weights(bodies[2]) { $0 % 2 == 0 ? 1 : 0.5 },
                loss: .policy(
                    PolicyStream(
                        advantages: bodies[2].indices.map { $0 % 3 == 0 ? -0.5 : 0.8 }, drawn: floats(bodies[2]),
                        reference: floats(bodies[2].reversed()), penalty: 0.1))),
            TrainingExample(
                id: "won", tokens: bodies[3], weights: weights(bodies[3]) { _ in 1 },
                loss: .preference(Preference(.chosen, reference: -30, beta: 0.3)), unit: "pair"),
            TrainingExample(
                id: "lost", tokens: bodies[4], weights: weights(bodies[4]) { _ in 1 },
                loss: .preference(Preference(.rejected, reference: -45, beta: 0.3)), unit: "pair"),
            TrainingExample(
                id: "taught", tokens: bodies[5], weights: weights(bodies[5]) { _ in 1 },
                loss: .distance(choices(bodies[5]))),
            // The same text as another, by another loss: it costs nothing.
            TrainingExample(
                id: "taught too", tokens: bodies[0], weights: weights(bodies[0]) { $0 % 2 == 0 ? 0.3 : 0 },
                loss: .distance(choices(bodies[0]))),
            // The beginning of another.
            TrainingExample(id: "short", tokens: start, weights: start.indices.map { $0 > 30 ? 0.25 : 0 }),
        ]
    }

    @Test("weights of 0 and 1 are the masks they were, to the last bit")
    func bits() throws {
        var generator = SeededGenerator(seed: 3)
        let masks = (0..<12).map { _ -> (tokens: [Int32], trainable: [Bool]) in
            let tokens = words(24, &generator)
            return (tokens, tokens.map { $0 % 3 != 0 })
        }
        let masked = masks.map { TrainingExample(id: "", tokens: $0.tokens, trainable: $0.trainable) }
        let weighed = masks.map {
            TrainingExample(id: "", tokens: $0.tokens, weights: $0.trainable.map { $0 ? 1 : 0 })
        }
        let plan = TrainingConfiguration(epochs: 2, rowTokens: 64, learningRate: 1e-2, precision: .float32, seed: 1)
        func trained(_ examples: [TrainingExample]) throws -> (losses: [Double], weights: [[Float]]) {
            let network = try DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2))
            let losses = try Trainer(network, configuration: plan).run(
                EpochRows(examples, epochs: 2, rowTokens: 64, seed: 1))
            return (losses, try network.parameters.map { try $0.tensor.floats() })
        }
        let (a, b) = (try trained(masked), try trained(weighed))
        #expect(a.losses == b.losses && a.losses.count > 4)
        for (x, y) in zip(a.weights, b.weights) { #expect(x.map(\.bitPattern) == y.map(\.bitPattern)) }
        // The rows hold what a mask asks for and nothing else.
        var row = PackedRow()
        row.append(weighed[0])
        let places = (1..<24).filter { masks[0].trainable[$0] }
        #expect(row.predicting == places.map { $0 - 1 } && row.targets == places.map { masks[0].tokens[$0] })
        #expect(row.streams.isEmpty)
    }

    @Test("a weight multiplies its token's part of the loss")
    func weighing() throws {
        var generator = SeededGenerator(seed: 5)
        let tokens = words(20, &generator)
        func row(_ weights: (Int) -> Float) -> PackedRow {
            var row = PackedRow()
            row.append(TrainingExample(id: "", tokens: tokens, weights: tokens.indices.map(weights)))
            return row
        }
        let scales = ByLossKind(repeating: 0.05)
        let once = try gradients([row { $0 % 2 == 0 ? 1 : 0 }], scales: scales)
        let twice = try gradients([row { $0 % 2 == 0 ? 2 : 0 }], scales: scales)
        let rest = try gradients([row { $0 % 2 == 0 ? 0 : 0.5 }], scales: scales)
        let all = try gradients([row { $0 % 2 == 0 ? 2 : 0.5 }], scales: scales)
        #expect(abs(twice.loss - 2 * once.loss) < 1e-6 && abs(all.loss - twice.loss - rest.loss) < 1e-6)
        for index in once.gradients.indices {
            for place in once.gradients[index].indices {
                #expect(abs(twice.gradients[index][place] - 2 * once.gradients[index][place]) < 1e-6)
                let sum = twice.gradients[index][place] + rest.gradients[index][place]
                #expect(abs(all.gradients[index][place] - sum) < 1e-6)
            }
        }
    }

    @Test("in a prefix tree, losses and gradients of all kinds are those of the samples one by one")
    func tree() throws {
        let samples = mixed()
        var tree = PrefixTree()
        for sample in samples { tree.insert(sample) }
        let packed = tree.row
        #expect(packed.tokens.count < packed.sampleTokens / 2)
        let apart = EpochRows.units(samples).map { unit in
            var row = PackedRow()
            for sample in unit { row.append(sample) }
            return row
        }
        #expect(apart.count == samples.count - 1)
        #expect(packed.counts == apart.counts)
        let (expected, found) = (try gradients(apart), try gradients([packed]))
        #expect(abs(expected.loss - found.loss) < 1e-5, "\(expected.loss) \(found.loss)")
        let again = try gradients([packed], recomputes: true)
        for index in expected.gradients.indices {
            let pairs = zip(expected.gradients[index], found.gradients[index])
            #expect((pairs.map { abs($0 - $1) }.max() ?? 0) < 1e-5)
            #expect((zip(again.gradients[index], found.gradients[index]).map { abs($0 - $1) }.max() ?? 0) < 1e-6)
        }
        #expect(found.gradients.allSatisfy { $0.contains { $0 != 0 } })
    }

    @Test("each kind is divided by its own count")
    func counts() throws {
        let samples = mixed()
        let byKind = Dictionary(grouping: samples, by: \.loss.kind)
        func row(_ samples: [TrainingExample]) -> PackedRow {
            samples.reduce(into: PackedRow()) { $0.append($1) }
        }
        let all = row(samples)
        #expect(all.counts[.preference] == 1)
        #expect(all.counts[.distance] == 13 + 5)
        let whole = try gradients([all]).loss
        let parts = try byKind.values.map { try gradients([row($0)]).loss }.reduce(0, +)
        #expect(abs(whole - parts) < 1e-5)
    }

    @Test("a run over all kinds resumes to the same weights, with pairs in one row")
    func resume() throws {
        let samples = mixed()
        let plan = TrainingConfiguration(
            epochs: 4, rowTokens: 90, learningRate: 1e-2, precision: .float32, seed: 1, checkpointMinutes: 0)
        let rows = EpochRows(samples, epochs: 4, rowTokens: 90, seed: 1)
        var list = rows
        while let row = list.next() {
            let sides = row.streams.samples.filter { $0.loss.kind == .preference }.count
            #expect(sides == 0 || sides == 2)
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        let undisturbed = try DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2))
        let expected = try Trainer(undisturbed, configuration: plan).run(rows)
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try Trainer(
                DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2)), configuration: plan, checkpoints: folder
            ).run(rows) { if $0.update == 3 { throw Stop() } }
        }
        let resumed = try DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2))
        #expect(try Trainer(resumed, configuration: plan, checkpoints: folder).run(rows) == expected)
        for (a, b) in zip(undisturbed.parameters, resumed.parameters) {
            #expect(try a.tensor.floats() == b.tensor.floats())
        }
    }

    @Test("what was drawn by the weights that learn has the log-probabilities that the network gives")
    func drawn() throws {
        let network = try DecoderNetwork(Self.shape, weights: RandomWeights(seed: 2))
        var row = PackedRow()
        let sample = mixed()[2]
        row.append(sample)
        let found = try RowLoss.logProbabilities(row, network)[0]
        let learned = sample.weights.indices.filter { $0 > 0 && sample.weights[$0] != 0 }
        #expect(found.indices.allSatisfy { (found[$0] < 0) == learned.contains($0) })
        var own = sample
        own.loss = .policy(PolicyStream(advantages: sample.tokens.map { _ in 1 }, drawn: found))
        var fresh = own
        fresh.loss = .policy(PolicyStream(advantages: sample.tokens.map { _ in 1 }))
        let rows = [own, fresh].map { sample in [sample].reduce(into: PackedRow()) { $0.append($1) } }
        let (a, b) = (try gradients([rows[0]]), try gradients([rows[1]]))
        #expect(abs(a.loss - b.loss) < 1e-5)
        for (x, y) in zip(a.gradients, b.gradients) { #expect((zip(x, y).map { abs($0 - $1) }.max() ?? 0) < 1e-5) }
    }

    @Test("samples that cannot be learned as they are, are refused by name")
    func refusals() throws {
        let samples = mixed()
        try Preflight.check(samples)
        #expect(throws: Preflight.Refusal.loneText(id: "won", unit: "pair")) {
            try Preflight.check(samples.filter { $0.id != "lost" })
        }
        #expect(throws: Preflight.Refusal.loneText(id: "lost", unit: "pair")) {
            try Preflight.check(samples.filter { $0.id != "won" })
        }
        var short = samples[2]
        short.loss = .policy(PolicyStream(advantages: [1]))
        #expect(throws: Preflight.Refusal.uneven(id: "drawn", what: "advantages", count: 1, tokens: 54)) {
            try Preflight.check([short])
        }
        var endless = samples[0]
        endless.weights[45] = .infinity
        #expect(throws: Preflight.Refusal.weightNotFinite(id: "plain", place: 45)) { try Preflight.check([endless]) }
    }
}

/// Losses and gradients as TRL computes them; see `Tools/make_loss_cases.py`.
private struct LossCase: Decodable, CustomStringConvertible, Sendable {
    let name: String
    let ids: [[Int32]]
    let mask: [[Int]]
    let logits: [[[Float]]]
    let loss: Double
    let gradient: [[[Float]]]
    let weights: [[Float]]?
    let beta, good, bad, penalty, low, high: Double?
    let reference: References?
    let label: [Bool]?
    let baseline: [Double]?
    let advantages: [Float]?
    let drawn: [[Float]]?
    let teacher: [[[Float]]]?

    /// One number a text, or one a token.
    enum References: Decodable {
        case texts([Double])
        case tokens([[Float]])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let texts = try? value.decode([Double].self) {
                self = .texts(texts)
            } else {
                self = .tokens(try value.decode([[Float]].self))
            }
        }
    }

    var description: String { "\(name) \(beta ?? penalty ?? 0)" }

    static var all: [LossCase] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Losses/trl.json")
        return (try? JSONDecoder().decode([LossCase].self, from: Data(contentsOf: file))) ?? []
    }

    var samples: [TrainingExample] {
        ids.indices.map { row in
            var sample = TrainingExample(
                id: "\(row)", tokens: ids[row], weights: weights?[row] ?? mask[row].map(Float.init))
            sample.loss = loss(of: row)
            // TRL's batches have all winners first.
            if name == "dpo" { sample.unit = "\(row % 2)" }
            return sample
        }
    }

    private func loss(of row: Int) -> SampleLoss {
        switch (name, reference) {
        case ("dpo", .texts(let texts)):
            .preference(Preference(row < 2 ? .chosen : .rejected, reference: texts[row], beta: beta ?? 0))
        case ("kto", .texts(let texts)):
            .preference(
                Preference(
                    label?[row] == true ? .good : .bad, reference: texts[row], beta: beta ?? 0,
                    weight: (label?[row] == true ? good : bad) ?? 0))
        case ("grpo", .tokens(let tokens)):
            .policy(
                PolicyStream(
                    advantages: ids[row].map { _ in advantages?[row] ?? 0 }, drawn: drawn?[row],
                    reference: tokens[row], clip: .init(low: low ?? 0, high: high ?? 0), penalty: penalty ?? 0))
        case ("distance", _):
            // What stands for a token was told by the place before it.
            .distance(
                ids[row].indices.map { place in
                    (place > 0 ? teacher?[row][place - 1] ?? [] : []).enumerated().map {
                        TeacherChoice(Int32($0.offset), logProbability: $0.element)
                    }
                })
        default: .imitation
        }
    }
}

@Suite("Losses against TRL")
struct LossOracleTests {
    @Test("values and gradients are TRL's", arguments: LossCase.all)
    private func same(_ known: LossCase) throws {
        let (rows, tokens, vocabulary) = (known.ids.count, known.ids[0].count, known.logits[0][0].count)
        var (samples, places) = (known.samples, [[Int?]]())
        for row in 0..<rows { places.append((0..<tokens).map { $0 > 0 ? row * tokens + $0 - 1 : nil }) }
        // Texts of other prompts: only how far they have moved is known here.
        var moved: [Float] = []
        for value in known.baseline ?? [] {
            samples.append(
                TrainingExample(
                    id: "other", tokens: [1, 2], weights: [0, 1],
                    loss: .preference(Preference(.baseline, reference: 0, beta: known.beta ?? 0))))
            places.append([nil, rows * tokens + moved.count])
            moved.append(Float(value))
        }
        let streams = StreamTargets(samples, places: places)
        let logits = try Tensor(known.logits.flatMap { $0.flatMap { $0 } }, shape: [rows * tokens, vocabulary])
        try logits.requireGradient()
        let own = streams.targets.filter { $0.predicting < rows * tokens }
        let found = try logits.logProbabilities(
            rows: Tensor(integers: own.map(\.predicting)), columns: Tensor(integers: own.map { Int($0.token) }))
        let (sums, derivatives) = streams.evaluate(try found.floats() + moved, scales: streams.counts.scales)
        let kind = samples[0].loss.kind
        #expect(abs(sums[kind] * streams.counts.scales[kind] - known.loss) < 1e-5)
        try (found * Tensor(Array(derivatives.prefix(own.count)))).sum().backward()
        let gradient = try #require(try logits.gradient()).floats()
        let expected = known.gradient.flatMap { $0.flatMap { $0 } }
        #expect(gradient.count == expected.count && expected.contains { abs($0) > 1e-3 })
        #expect((zip(gradient, expected).map { abs($0 - $1) }.max() ?? 1) < 1e-5)
    }

    @Test("all cases are there")
    func cases() { #expect(LossCase.all.count == 9) }
}

@Suite("References of preferences")
struct ReferenceTests {
    @Test("they are the sums of a text's log-probabilities before training, whatever rows the texts fall into")
    func sums() throws {
        let shape = DecoderConfiguration.qwen2(
            vocabularySize: 64, hiddenSize: 16, intermediateSize: 24, layerCount: 2, headCount: 2, keyValueHeadCount: 1,
            maximumPositions: 256)
        var generator = SeededGenerator(seed: 8)
        let start = (0..<40).map { _ in Int32.random(in: 1..<64, using: &generator) }
        let samples = (0..<6).map { number -> TrainingExample in
            let body = (0..<(5 + number)).map { _ in Int32.random(in: 1..<64, using: &generator) }
            return TrainingExample(
                id: "\(number)", tokens: start + body, weights: start.map { _ in 0 } + body.map { _ in 1 },
                loss: .preference(Preference(number % 2 == 0 ? .chosen : .rejected, reference: 0)),
                unit: "\(number / 2)")
        }
        let plan = TrainingConfiguration(
            method: .lora(LoRAConfiguration(rank: 2, alpha: 4, dropout: 0.5)), rowTokens: 60, precision: .float32)
        let network = try DecoderNetwork(shape, weights: RandomWeights(seed: 2))
        let found = zip(samples, try Trainer(network, configuration: plan).logProbabilities(of: samples)).map {
            TextScores.sum($1, weighted: $0)
        }
        for (sample, sum) in zip(samples, found) {
            var row = PackedRow()
            row.append(sample)
            let alone = try RowLoss.logProbabilities(row, network)[0].reduce(0, +)
            #expect(abs(sum - Double(alone)) < 1e-4 && sum < -5)
        }
        // Before anything is learned, nothing is preferred: the loss of a pair is ln 2.
        let judged = zip(samples, found).map { sample, sum in
            var sample = sample
            if case .preference(let preference) = sample.loss {
                sample.loss = .preference(Preference(preference.side, reference: sum))
            }
            return sample
        }
        let losses = try Trainer(network, configuration: plan).run(
            EpochRows(judged, epochs: 1, rowTokens: 300, seed: 1))
        #expect(losses.count == 1 && abs(losses[0] - log(2)) < 1e-4)
    }
}

@Suite("Advantages")
struct AdvantageTests {
    @Test("a group's rewards are taken from their mean, in standard deviations")
    func groups() {
        let found = PolicyAdvantages.ofGroup([1, 0, 0, 1, 1])
        // As TRL: (r − mean) / (std + 1e-4), the deviation of a sample.
        let expected = [0.73017, -1.09525, -1.09525, 0.73017, 0.73017]
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-4) }
        #expect(PolicyAdvantages.ofGroup([1, 1]) == [0, 0] && PolicyAdvantages.ofGroup([1]) == [0])
    }

    @Test(
        "steps count less the farther the student is from the teacher than in its first step, never more than a fifth more"
    )
    func steps() {
        let weights: [Float] = [0, 1, 1, 0, 1, 0, 1, 1]
        let found = PolicyAdvantages.stepFactors([9, 0.5, -0.5, 9, 2, 9, 0.1, -0.1], weights: weights)
        let expected: [Float] = [1, 1, 1, 1, 0.25, 1, 1.2, 1.2]
        for (a, b) in zip(found, expected) { #expect(abs(a - b) < 1e-4) }
        #expect(PolicyAdvantages.ofTeacher([-1, -2], student: [-1.5, -1]) == [0.5, -1])
    }
}
