import RetortDomains
import RetortTraining

extension Recipe {
    /// One training stage, as a recipe says it.
    public struct TrainingPlan: Codable, Sendable, Hashable {
        /// What the recipe says; what it leaves open has stand-ins here. `settled` puts the chosen values in their place.
        public var configuration: TrainingConfiguration
        /// What is chosen when the student and the samples are known; nil when everything is said.
        public var open: OpenKeys?
        /// Which tasks are held out and when they are looked at; nil for no validation.
        public var validation: ValidationChoice?
        /// The longest sample, in tokens.
        public var maximumTokens: Int
        /// What happens to longer ones.
        public var overlong: OverlongPolicy
    }

    /// The keys of a training plan that a recipe leaves open.
    public struct OpenKeys: Codable, Sendable, Hashable {
        /// Where a value comes from.
        public enum Source: String, Codable, Sendable {
            /// The recipe.
            case said
            /// The model's width and the number of samples.
            case bySize = "by size"
            /// A short training with an ever larger rate.
            case byRangeTest = "by a range test"
        }

        public var epochs = Source.said
        public var rank = Source.said
        /// By size it is twice the rank.
        public var alpha = Source.said
        public var learningRate = Source.said
        /// What the rate by size is multiplied by: a stage that goes on from another with all weights is gentler.
        public var rateFactor = 1.0

        static let said = OpenKeys()

        /// Those that are chosen, by the name of the stage's input they are, with how.
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
        /// What was chosen and why, for people; nil when the recipe said everything.
        var choice: String?
    }

    /// Whether all weights learn, rather than adapters.
    var isFull: Bool { configuration.method == .full }

    /// Puts what the size asks for in the place of what the recipe leaves open.
    /// - Parameters:
    ///   - key: what the plan is called in the recipe.
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
    /// A plan that says nothing.
    init(usual: TrainingConfiguration, validation: ValidationChoice?) {
        self.init(
            configuration: usual, open: nil, validation: validation, maximumTokens: 4096, overlong: .drop)
    }

    /// Reads a training plan.
    /// - Parameters:
    ///   - usual: what the recipe need not say.
    ///   - published: whether `usual` has a paper's rate and epochs for full weights; others are chosen by size.
    ///   - goesOn: whether it starts from another stage.
    init(
        _ reader: YAMLReader, usual: TrainingConfiguration, published: Bool = false, goesOn: Bool = false,
        validation: ValidationChoice?
    ) {
        var open = Recipe.OpenKeys()
        let method: TrainingConfiguration.Method =
            reader.mapping("lora") { .lora(LoRAConfiguration($0, &open)) } ?? .full
        // A paper's figures are of full weights and their size.
        let isUsual = published && method == .full
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
    /// Reads adapters; what is left open has stand-ins.
    fileprivate init(_ reader: YAMLReader, _ open: inout Recipe.OpenKeys) {
        if reader.isOpen("rank", unsaid: true) { open.rank = .bySize }
        let rank = open.rank == .said ? reader.integer("rank", default: 1, in: 1...4096) : 1
        if !reader.has("alpha"), open.rank == .bySize { open.alpha = .bySize }
        self.init(
            rank: rank, alpha: reader.number("alpha", default: 2 * Double(rank)),
            dropout: reader.number("dropout", default: 0.05, in: 0...0.99), targets: reader.strings("targets"))
    }
}

extension YAMLReader {
    /// Whether a key's value is left to the model's size: by the word `bySize`, or because it is not there.
    fileprivate func isOpen(_ key: String, unsaid: Bool) -> Bool {
        guard has(key) else { return unsaid }
        return textIfAny(key) == "bySize"
    }
}
