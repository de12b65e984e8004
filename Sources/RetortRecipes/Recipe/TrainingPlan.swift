import RetortDomains
import RetortTraining

extension Recipe {
    /// One training stage as described in a recipe.
    public struct TrainingPlan: Codable, Sendable, Hashable {
        /// The recipe's values; keys that it leaves open have placeholders here, which `settled` replaces.
        public var configuration: TrainingConfiguration
        /// The keys that are chosen once the student and the samples are known; nil when the recipe gives all.
        public var open: OpenKeys?
        /// Which tasks are held out, and when their loss is measured; nil for no validation.
        public var validation: ValidationChoice?
        /// The longest sample, in tokens.
        public var maximumTokens: Int
        /// What happens to longer samples.
        public var overlong: OverlongPolicy
    }

    /// The keys of a training plan that a recipe leaves open.
    public struct OpenKeys: Codable, Sendable, Hashable {
        /// Where a value comes from.
        public enum Source: String, Codable, Sendable {
            /// It is given in the recipe.
            case said
            /// It follows from the model's width and the number of samples.
            case bySize = "by size"
            /// It follows from a short training with an increasing rate.
            case byRangeTest = "by a range test"
        }

        /// Where the number of epochs comes from.
        public var epochs = Source.said
        /// Where the rank of adapters comes from.
        public var rank = Source.said
        /// Where the scale of adapters comes from; by size it is twice the rank.
        public var alpha = Source.said
        /// Where the learning rate comes from.
        public var learningRate = Source.said
        /// A factor for the rate by size: a stage that continues another with all weights takes a third.
        public var rateFactor = 1.0

        static let said = OpenKeys()

        /// The open keys, by the names of the stage's inputs, with how they are chosen.
        var words: [String: String] {
            let all = [
                "training.epochs": epochs, "training.learningRate": learningRate, "training.lora.rank": rank,
                "training.lora.alpha": alpha,
            ]
            return all.filter { $0.value != .said }.mapValues(\.rawValue)
        }
    }
}

extension Recipe.TrainingPlan {
    /// The plan with everything chosen.
    struct Settled {
        var configuration: TrainingConfiguration
        /// What was chosen and why, for people; nil when the recipe gives everything.
        var choice: String?
    }

    /// Whether all weights are trained, and not adapters.
    var isFull: Bool { configuration.method == .full }

    /// Replaces what the recipe leaves open with the values for the size.
    /// - Parameters:
    ///   - key: the plan's path in the recipe.
    ///   - width: the student's hidden size.
    func settled(_ key: String, width: Int, samples: Int) -> Settled {
        let dial = SizeDial(width: width, samples: samples, method: configuration.method)
        var chosen = configuration
        let open = open ?? .said
        var words: [(text: String, key: String)] = []
        if case .lora(var lora) = configuration.method, open.rank == .bySize {
            lora.rank = dial.rank
            if open.alpha == .bySize { lora.alpha = 2 * Double(dial.rank) }
            chosen.method = .lora(lora)
            words.append(("rank \(dial.rank)", "lora.rank"))
        }
        if open.learningRate != .said {
            chosen.learningRate = SizeDial.rounded(dial.rate * open.rateFactor)
            if open.learningRate == .bySize { words.append(("rate \(chosen.learningRate)", "learningRate")) }
        }
        if open.epochs == .bySize {
            chosen.epochs = dial.epochs
            words.append(("\(dial.epochs) \(dial.epochs == 1 ? "epoch" : "epochs")", "epochs"))
        }
        guard !words.isEmpty else { return Settled(configuration: chosen, choice: nil) }
        return Settled(
            configuration: chosen,
            choice: "\(words.map(\.text).joined(separator: ", ")): width \(width), \(samples) samples, "
                + "\(isFull ? "all weights" : "adapters"); override with "
                + words.map { "\(key).\($0.key)" }.joined(separator: ", "))
    }
}

// MARK: Reading

extension Recipe.TrainingPlan {
    /// A plan without any settings.
    init(usual: TrainingConfiguration, validation: ValidationChoice?) {
        self.init(
            configuration: usual, open: nil, validation: validation, maximumTokens: 4096, overlong: .drop)
    }

    /// Reads a training plan.
    /// - Parameters:
    ///   - usual: the values of keys that the recipe need not give.
    ///   - published: whether `usual` is a paper's plan for full weights; adapters then have the general one, with rate
    ///     and epochs by size.
    ///   - goesOn: whether it continues another stage.
    init(
        _ reader: YAMLReader, usual: TrainingConfiguration, published: Bool = false, goesOn: Bool = false,
        validation: ValidationChoice?
    ) {
        var open = Recipe.OpenKeys()
        let method: TrainingConfiguration.Method =
            reader.mapping("lora") { .lora(LoRAConfiguration($0, &open)) } ?? .full
        // A paper's values are for full weights and models of its size.
        let isUsual = published && method == .full
        let usual = published && !isUsual ? TrainingConfiguration(seed: usual.seed) : usual
        open.epochs = reader.isOpen("epochs", unsaid: !isUsual) ? .bySize : .said
        let rateText = reader.textIfAny("learningRate")
        open.learningRate =
            rateText == "auto" ? .byRangeTest : reader.isOpen("learningRate", unsaid: !isUsual) ? .bySize : .said
        if goesOn, method == .full, open.learningRate != .said { open.rateFactor = 1.0 / 3 }
        var rate = 0.0
        if open.learningRate == .said {
            if let rateText, rateText.first?.isLetter == true {
                reader.refuse(
                    "learningRate",
                    "'learningRate' must be a number, auto (a short range test) or bySize, not '\(rateText)'")
            } else {
                rate = reader.number("learningRate", default: usual.learningRate, in: 1e-9...1)
            }
        }
        configuration = TrainingConfiguration(
            method: method,
            epochs: open.epochs == .said ? reader.integer("epochs", default: usual.epochs, in: 1...1000) : 1,
            rowTokens: reader.integer("rowTokens", default: 4096, in: 16...1_000_000),
            accumulation: reader.integer("accumulation", default: usual.accumulation, in: 1...10_000),
            learningRate: rate,
            schedule: reader.choice("schedule", default: usual.schedule),
            warmup: reader.number("warmup", default: usual.warmup, in: 0...1),
            weightDecay: reader.number("weightDecay", default: usual.weightDecay, in: 0...1),
            clip: reader.number("clip", default: 1, in: 1e-6...1e6),
            beta2: reader.number("beta2", default: 0.999, in: 0...0.999999),
            precision: reader.choice("precision", default: .bfloat16),
            recomputesActivations: reader.flag("recompute", default: false), seed: usual.seed,
            checkpointMinutes: reader.number("checkpointMinutes", default: usual.checkpointMinutes, in: 0...1440))
        self.open = open == .said ? nil : open
        self.validation = validation
        maximumTokens = reader.integer("maxTokens", default: 1024, in: 16...1_000_000)
        overlong = reader.choice("overlong", default: .drop)
    }
}

extension LoRAConfiguration {
    /// Reads adapters; open keys get placeholders.
    fileprivate init(_ reader: YAMLReader, _ open: inout Recipe.OpenKeys) {
        if reader.isOpen("rank", unsaid: true) { open.rank = .bySize }
        let rank = open.rank == .said ? reader.integer("rank", default: 1, in: 1...4096) : 1
        if !reader.has("alpha"), open.rank == .bySize { open.alpha = .bySize }
        let alpha = reader.number("alpha", default: 2 * Double(rank), in: 1e-6...1e12)
        let dropout = reader.number("dropout", default: 0.05, in: 0...0.99)
        let targets = reader.strings("targets")
        if let targets, targets.isEmpty || targets.contains(where: { $0.allSatisfy(\.isWhitespace) }) {
            reader.refuse(
                "targets", "'targets' must name projections, such as q_proj; leave it out for all of them")
        }
        self.init(rank: rank, alpha: alpha, dropout: dropout, targets: targets)
    }
}

extension YAMLReader {
    /// Whether a key's value is left to the model's size: by the word `bySize`, or because the key is missing.
    fileprivate func isOpen(_ key: String, unsaid: Bool) -> Bool {
        guard has(key) else { return unsaid }
        return textIfAny(key) == "bySize"
    }
}
