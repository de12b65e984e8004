import Foundation

/// A row's targets whose loss is more than a cross-entropy of weight one.
///
/// Every such loss is a function of log-probabilities of tokens at places of the row. Its value and its derivatives are plain
/// arithmetic, done here; the network only has to know the log-probabilities, and what each of them is multiplied by.
public struct StreamTargets: Codable, Sendable, Equatable {
    /// One log-probability that a loss is made of.
    struct Target: Codable, Sendable, Equatable {
        /// The place in the row that predicts it.
        var predicting: Int
        var token: Int32
        /// Its sample, and the token's place in that.
        var sample: Int
        var place: Int
        /// Which of the teacher's choices it is.
        var choice = 0
    }

    /// The samples that targets belong to.
    private(set) var samples: [TrainingExample] = []
    /// Ordered by the place that predicts.
    private(set) var targets: [Target] = []

    var isEmpty: Bool { targets.isEmpty }

    /// - Parameter targets: ordered by the place that predicts.
    init(samples: [TrainingExample], targets: [Target]) { (self.samples, self.targets) = (samples, targets) }

    /// - Parameter places: of each sample, the places in the row that predict its tokens; nil for tokens without weight.
    init(_ samples: [TrainingExample] = [], places: [[Int?]] = []) {
        self.samples = samples
        for (number, (sample, places)) in zip(samples, places).enumerated() {
            for (place, predicting) in places.enumerated() {
                guard let predicting, sample.weights[place] != 0 else { continue }
                guard case .distance(let choices) = sample.loss else {
                    targets.append(
                        Target(predicting: predicting, token: sample.tokens[place], sample: number, place: place))
                    continue
                }
                for (index, choice) in choices[place].enumerated() {
                    targets.append(
                        Target(
                            predicting: predicting, token: choice.token, sample: number, place: place, choice: index))
                }
            }
        }
        targets.sort { ($0.predicting, $0.sample, $0.choice) < ($1.predicting, $1.sample, $1.choice) }
    }

    /// The same with one more sample.
    init(_ streams: StreamTargets, and sample: TrainingExample, places: [Int?]) {
        let other = StreamTargets([sample], places: [places])
        samples = streams.samples + [sample]
        let number = streams.samples.count
        // What is added lies behind what is there.
        targets =
            streams.targets
            + other.targets.map { target in
                var target = target
                target.sample = number
                return target
            }
    }

    /// How much there is of each kind, by which its loss is divided.
    var counts: ByLossKind<Int> {
        var counts = ByLossKind<Int>(repeating: 0)
        for target in targets where target.choice == 0 {
            let kind = samples[target.sample].loss.kind
            if kind != .preference { counts[kind] += 1 }
        }
        for sample in samples {
            guard case .preference(let preference) = sample.loss else { continue }
            switch preference.side {
            case .chosen, .good, .bad: counts[.preference] += 1
            case .rejected, .baseline: break
            }
        }
        return counts
    }

    /// How many tokens are learned from.
    var targetCount: Int { targets.count { $0.choice == 0 } }

    /// Whether what log-probabilities are multiplied by depends on them.
    var isCurved: Bool {
        samples.contains { $0.loss.kind == .policy || $0.loss.kind == .preference }
    }

    /// Targets that are computed together: of at most so many places.
    func chunks(of limit: Int) -> [Range<Int>] {
        var chunks: [Range<Int>] = []
        var (start, places) = (0, 0)
        for index in targets.indices where index == 0 || targets[index].predicting != targets[index - 1].predicting {
            if places == limit {
                chunks.append(start..<index)
                (start, places) = (index, 0)
            }
            places += 1
        }
        return targets.isEmpty ? [] : chunks + [start..<targets.count]
    }

    // MARK: Losses

    /// The losses' sums by kind, and the derivative of the scaled total with respect to each log-probability.
    /// - Parameter values: the log-probabilities of `targets`; only where `isCurved` do the derivatives depend on them.
    func evaluate(
        _ values: [Float], scales: ByLossKind<Double>
    ) -> (sums: ByLossKind<Double>, derivatives: [Float]) {
        var sums = ByLossKind<Double>(repeating: 0)
        var derivatives = [Float](repeating: 0, count: targets.count)
        let ofTexts = preferences(values, &sums)
        for (index, target) in targets.enumerated() {
            let sample = samples[target.sample]
            let (weight, value) = (Double(sample.weights[target.place]), Double(values[index]))
            let (loss, derivative): (Double, Double)
            switch sample.loss {
            case .imitation: (loss, derivative) = (-value, -1)
            case .distance(let choices):
                let teacher = Double(choices[target.place][target.choice].logProbability)
                (loss, derivative) = (exp(teacher) * (teacher - value), -exp(teacher))
            case .policy(let stream): (loss, derivative) = stream.loss(at: target.place, value)
            case .preference: (loss, derivative) = (0, ofTexts[target.sample])
            }
            sums[sample.loss.kind] += weight * loss
            derivatives[index] = Float(scales[sample.loss.kind] * weight * derivative)
        }
        return (sums, derivatives)
    }

    /// The derivatives of preferences with respect to the log-probability of each text.
    private func preferences(_ values: [Float], _ sums: inout ByLossKind<Double>) -> [Double] {
        var derivatives = [Double](repeating: 0, count: samples.count)
        guard samples.contains(where: { $0.loss.kind == .preference }) else { return derivatives }
        // How far each text's log-probability is from the reference's.
        var moved = [Double](repeating: 0, count: samples.count)
        for (target, value) in zip(targets, values) {
            moved[target.sample] += Double(samples[target.sample].weights[target.place]) * Double(value)
        }
        var baseline: [Double] = []
        var rivals: [String: Int] = [:]
        for (index, sample) in samples.enumerated() {
            guard case .preference(let preference) = sample.loss else { continue }
            moved[index] -= preference.reference
            if preference.side == .baseline { baseline.append(moved[index]) }
            if preference.side == .rejected, let unit = sample.unit { rivals[unit] = index }
        }
        let shift = baseline.isEmpty ? 0 : max(0, baseline.reduce(0, +) / Double(baseline.count))
        for (index, sample) in samples.enumerated() {
            guard case .preference(let preference) = sample.loss else { continue }
            let (beta, weight) = (preference.beta, preference.weight)
            switch preference.side {
            case .chosen:
                guard let rival = sample.unit.flatMap({ rivals[$0] }) else { continue }
                let margin = beta * (moved[index] - moved[rival])
                sums[.preference] += Self.softplus(-margin)
                derivatives[index] = -beta * Self.sigmoid(-margin)
                derivatives[rival] = beta * Self.sigmoid(-margin)
            case .good:
                let value = Self.sigmoid(beta * (moved[index] - shift))
                sums[.preference] += weight * (1 - value)
                derivatives[index] = -weight * beta * value * (1 - value)
            case .bad:
                let value = Self.sigmoid(beta * (shift - moved[index]))
                sums[.preference] += weight * (1 - value)
                derivatives[index] = weight * beta * value * (1 - value)
            case .rejected, .baseline: break
            }
        }
        return derivatives
    }

    private static func sigmoid(_ x: Double) -> Double {
        // e to a large number would be infinite.
        x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
    }

    private static func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }
}

extension PolicyStream {
    /// The loss of a token and its derivative with respect to the token's log-probability.
    fileprivate func loss(at place: Int, _ value: Double) -> (loss: Double, derivative: Double) {
        let advantage = Double(advantages[place])
        let ratio = exp(value - (drawn.map { Double($0[place]) } ?? value))
        let clipped = clip.map { min(max(ratio, 1 - $0.low), 1 + $0.high) } ?? ratio
        var (loss, derivative) = (-clipped * advantage, 0.0)
        if ratio * advantage <= clipped * advantage { (loss, derivative) = (-ratio * advantage, -ratio * advantage) }
        if penalty != 0, let reference {
            // Schulman's estimate of the divergence, which is never negative (http://joschu.net/blog/kl-approx.html, k3).
            let distance = Double(reference[place]) - value
            loss += penalty * (exp(distance) - distance - 1)
            derivative += penalty * (1 - exp(distance))
        }
        return (loss, derivative)
    }
}
