import Foundation
import RetortLLM
import RetortTensor

/// The hyper-parameters of one training stage.
public struct TrainingConfiguration: Codable, Sendable, Hashable {
    /// Which weights learn.
    public enum Method: Codable, Sendable, Hashable {
        /// All of them.
        case full
        /// Low-rank adapters beside the projections (arXiv 2106.09685).
        case lora(LoRAConfiguration)
    }

    /// The precision of products.
    public enum Precision: String, Codable, Sendable, CaseIterable {
        case float32, bfloat16
    }

    /// How the learning rate moves after warm-up.
    public enum Schedule: String, Codable, Sendable, CaseIterable {
        case constant, linear, cosine
    }

    /// Which weights learn.
    public var method: Method
    /// How often each sample is seen.
    public var epochs: Int
    /// The most tokens in a packed row; one row is one pass forward and back.
    public var rowTokens: Int
    /// How many rows make one update.
    public var accumulation: Int
    /// The learning rate's peak.
    public var learningRate: Double
    /// How it moves.
    public var schedule: Schedule
    /// The share of updates over which it rises to its peak.
    public var warmup: Double
    /// AdamW's weight decay, on matrices only.
    public var weightDecay: Double
    /// The largest gradient norm; larger ones are scaled down.
    public var clip: Double
    /// AdamW's second moment decay.
    public var beta2: Double
    /// The precision of products; weights, moments and the residual stream are float32 in any case.
    public var precision: Precision
    /// Whether layers run again on the way back instead of keeping all they computed: less memory for a third more work.
    public var recomputesActivations: Bool
    /// The seed of order, dropout and adapters.
    public var seed: UInt64
    /// When held-out samples are looked at, and what follows; nil trains to the end and looks at none.
    public var validation: ValidationPlan?
    /// How many minutes lie between checkpoints, at least; 0 writes one after each update. It changes nothing of the result, so
    /// plans that differ in it alone are encoded alike.
    public var checkpointMinutes: Double

    /// What agent distillation usually takes, unless said otherwise.
    public init(
        method: Method = .full, epochs: Int = 2, rowTokens: Int = 4096, accumulation: Int = 1,
        learningRate: Double = 2e-4, schedule: Schedule = .linear, warmup: Double = 0, weightDecay: Double = 0,
        clip: Double = 1, beta2: Double = 0.999, precision: Precision = .bfloat16,
        recomputesActivations: Bool = false, seed: UInt64 = 42, validation: ValidationPlan? = nil,
        checkpointMinutes: Double = 2
    ) {
        self.method = method
        self.epochs = epochs
        self.rowTokens = rowTokens
        self.accumulation = accumulation
        self.learningRate = learningRate
        self.schedule = schedule
        self.warmup = warmup
        self.weightDecay = weightDecay
        self.clip = clip
        self.beta2 = beta2
        self.precision = precision
        self.recomputesActivations = recomputesActivations
        self.seed = seed
        self.validation = validation
        self.checkpointMinutes = checkpointMinutes
    }

    /// Reads a plan; what plans of earlier versions lack has the value it had then.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            method: try fields.decode(Method.self, forKey: .method),
            epochs: try fields.decode(Int.self, forKey: .epochs),
            rowTokens: try fields.decode(Int.self, forKey: .rowTokens),
            accumulation: try fields.decode(Int.self, forKey: .accumulation),
            learningRate: try fields.decode(Double.self, forKey: .learningRate),
            schedule: try fields.decode(Schedule.self, forKey: .schedule),
            warmup: try fields.decode(Double.self, forKey: .warmup),
            weightDecay: try fields.decode(Double.self, forKey: .weightDecay),
            clip: try fields.decode(Double.self, forKey: .clip), beta2: try fields.decode(Double.self, forKey: .beta2),
            precision: try fields.decode(Precision.self, forKey: .precision),
            recomputesActivations: try fields.decodeIfPresent(Bool.self, forKey: .recomputesActivations) ?? false,
            seed: try fields.decode(UInt64.self, forKey: .seed),
            validation: try fields.decodeIfPresent(ValidationPlan.self, forKey: .validation))
    }

    /// All but `checkpointMinutes`.
    private enum CodingKeys: String, CodingKey {
        case method, epochs, rowTokens, accumulation, learningRate, schedule, warmup, weightDecay, clip, beta2,
            precision
        case recomputesActivations, seed, validation
    }

    /// How the base's weights are held: frozen ones as the products need them, learning ones in full.
    public var baseDType: DType {
        if case .lora = method, precision == .bfloat16 { .bfloat16 } else { .float32 }
    }

    /// How many updates so many rows make.
    public func updates(of rows: Int) -> Int { (rows + accumulation - 1) / accumulation }

    /// The learning rate of an update, counted from 1.
    public func rate(at update: Int, of total: Int) -> Double {
        let warm = Int((warmup * Double(total)).rounded(.up))
        if update <= warm { return learningRate * Double(update) / Double(max(warm, 1)) }
        // As in transformers' schedulers, the first update after warm-up has the full rate.
        let progress = Double(update - 1 - warm) / Double(max(total - warm, 1))
        switch schedule {
        case .constant: return learningRate
        case .linear: return learningRate * (1 - progress)
        case .cosine: return learningRate * 0.5 * (1 + cos(.pi * progress))
        }
    }
}

/// The adapters of a LoRA run, in PEFT's terms.
public struct LoRAConfiguration: Codable, Sendable, Hashable {
    /// r.
    public var rank: Int
    /// Scaled by alpha / r.
    public var alpha: Double
    /// The share of inputs dropped while training.
    public var dropout: Double
    /// Names of projections, or their last parts, such as `q_proj` or `self_attn.q_proj`; nil takes all linear layers but
    /// the head.
    public var targets: [String]?

    /// - Parameters:
    ///   - rank: r.
    ///   - alpha: scaled by alpha / r.
    ///   - dropout: the share of inputs dropped while training.
    ///   - targets: names of projections, or their last parts; nil takes all linear layers but the head.
    public init(rank: Int = 64, alpha: Double = 128, dropout: Double = 0.05, targets: [String]? = nil) {
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.targets = targets
    }

    /// Whether a projection gets an adapter.
    public func reaches(_ projection: String) -> Bool {
        targets?.contains { AdapterConfiguration.target($0, names: projection) } ?? true
    }
}
