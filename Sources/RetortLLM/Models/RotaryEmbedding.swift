import Foundation
import RetortTensor

/// The angles by which positions rotate queries and keys.
public struct RotaryPlan: Codable, Sendable, Hashable {
    /// How frequencies are stretched for contexts longer than the model was first trained on.
    public enum Scaling: Codable, Sendable, Hashable {
        /// Not stretched.
        case none
        /// All frequencies divided by one factor.
        case linear(factor: Double)
        /// Low frequencies divided by the factor, high ones unchanged, those between them interpolated (Llama 3.1).
        case llama3(factor: Double, low: Double, high: Double, original: Double)
        /// High frequencies unchanged, low ones divided by the factor, with a ramp between the dimensions whose
        /// frequencies rotate `fast` and `slow` times within the original length (YaRN, arXiv 2309.00071). Truncation
        /// rounds these dimensions to whole numbers.
        case yarn(factor: Double, original: Double, fast: Double, slow: Double, truncates: Bool)
        /// A larger base for texts longer than the longest context, depending on their length (NTK-aware); unchanged
        /// within it.
        case dynamic(factor: Double, longest: Double)
        /// Phi-3's factors: the short ones for contexts within the original length. Longer contexts are not supported
        /// here; an export passes the long factors on.
        case longrope(short: [Double], long: [Double], original: Double, longest: Double)
        /// Only the first share of the pairs rotates, at the frequencies of the whole width divided by the factor
        /// (Gemma 4).
        case proportional(share: Double, factor: Double)

        /// Whether the positions are not made for a fixed length.
        var isUnstretched: Bool {
            switch self {
            case .none: true
            case .proportional(_, let factor): factor == 1
            default: false
            }
        }
    }

    /// The base of the frequencies.
    public var theta: Double
    /// How the frequencies are stretched.
    public var scaling = Scaling.none
    /// The share of a head's width that is rotated (Phi-4-mini: 0.75).
    public var share = 1.0
    /// The factor on cosines and sines, if a checkpoint's file states it.
    public var statedAmplitude: Double?

    /// How queries grow with their positions (Llama 4, Ministral 3): by 1 + `by` · log(1 + ⌊position / `every`⌋).
    public struct QueryGrowth: Codable, Sendable, Hashable {
        /// The slope of the growth.
        public var by: Double
        /// The number of tokens after which the factor grows.
        public var every: Double
    }

    /// How queries grow; nil in most families.
    public var queryGrowth: QueryGrowth?

    /// A plan without stretching.
    public init(theta: Double) { self.theta = theta }

    /// The angle per position in radians, for each pair of a head's rotated part.
    /// - Parameter length: the number of tokens of the text, which only dynamic plans use.
    func frequencies(dimension: Int, length: Int = 0) -> [Double] {
        let turned = turnedWidth(of: dimension)
        let plain = Self.plain(theta, turned)
        switch scaling {
        case .none: return plain
        case .dynamic(let factor, let longest):
            guard Double(length) > longest, turned > 2 else { return plain }
            let stretch = factor * Double(length) / longest - (factor - 1)
            return Self.plain(theta * pow(stretch, Double(turned) / Double(turned - 2)), turned)
        case .yarn(let factor, let original, let fast, let slow, let truncates):
            // The dimension at which a frequency rotates this many times within the original length.
            func place(_ turns: Double) -> Double {
                Double(turned) * log(original / (turns * 2 * .pi)) / (2 * log(theta))
            }
            var (low, high) = (place(fast), place(slow))
            if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
            low = max(low, 0)
            high = min(high, Double(turned - 1))
            if low == high { high += 0.001 }
            return plain.enumerated().map { index, frequency in
                let share = min(max((Double(index) - low) / (high - low), 0), 1)
                return share * frequency / factor + (1 - share) * frequency
            }
        case .linear(let factor): return plain.map { $0 / factor }
        case .proportional(let share, let factor):
            let turning = Int((share * Double(dimension) / 2).rounded(.down))
            return plain.enumerated().map { $0 < turning ? $1 / factor : 0 }
        case .llama3(let factor, let low, let high, let original):
            return plain.map { frequency in
                let turns = original * frequency / (2 * .pi)
                if turns < low { return frequency / factor }
                if turns > high { return frequency }
                let share = (turns - low) / (high - low)
                return (1 - share) * frequency / factor + share * frequency
            }
        case .longrope(let factors, _, _, _):
            return factors.count == plain.count ? zip(plain, factors).map { $0 / $1 } : plain
        }
    }

    private static func plain(_ theta: Double, _ turned: Int) -> [Double] {
        stride(from: 0, to: turned, by: 2).map { pow(theta, -Double($0) / Double(turned)) }
    }

    func turnedWidth(of dimension: Int) -> Int { Int(Double(dimension) * share) / 2 * 2 }

    /// The factor on cosines and sines.
    var amplitude: Double {
        if let statedAmplitude { return statedAmplitude }
        guard case .longrope(_, _, let original, let longest) = scaling, longest > original else { return 1 }
        return (1 + log(longest / original) / log(original)).squareRoot()
    }
}

/// Rotary position embedding (arXiv 2104.09864), in the half-split layout of Hugging Face's checkpoints.
struct RotaryEmbedding {
    /// The cosine and sine of each position's angles, `[batch, 1, length, rotated width]`.
    struct Angles {
        let cosine: Tensor
        let sine: Tensor
        /// The factor on queries, `[batch, length, 1]`; nil is 1.
        var queryGrowth: Tensor?

        /// Angles that rotate nothing.
        func still() throws -> Self {
            let shape = cosine.shape
            return Self(
                cosine: try Tensor.full(shape, 1, dtype: cosine.dtype, device: cosine.device),
                sine: try Tensor.zeros(shape, dtype: cosine.dtype, device: cosine.device), queryGrowth: queryGrowth)
        }
    }

    private let plan: RotaryPlan
    private let dimension: Int
    private let frequencies: Tensor
    private let amplitude: Double
    private let device: Device

    /// - Parameter dimension: the width of one head; even.
    init(_ plan: RotaryPlan, dimension: Int, device: Device) throws {
        self.plan = plan
        self.dimension = dimension
        frequencies = try Tensor(plan.frequencies(dimension: dimension).map(Float.init)).to(device: device)
        self.device = device
        amplitude = plan.amplitude
    }

    /// The angles at int64 positions `[batch, length]`, computed once for all layers.
    func angles(at positions: Tensor, dtype: DType) throws -> Angles {
        let shape = positions.shape
        let frequencies = try frequencies(at: positions)
        let half = try positions.to(.float32).reshaped([shape[0], 1, shape[1], 1]) * frequencies
        let full = try Tensor.concatenated([half, half], axis: -1)
        // In float32 the last bit would depend on the number of positions, because libtorch computes full registers
        // differently from the rest.
        let exact = device == .cpu ? try full.to(.float64) : full
        let (cosine, sine) = (try exact.cos().to(.float32), try exact.sin().to(.float32))
        let scale = amplitude
        func scaled(_ part: Tensor) throws -> Tensor { try (scale == 1 ? part : part * scale).to(dtype) }
        return Angles(
            cosine: try scaled(cosine), sine: try scaled(sine), queryGrowth: try growth(at: positions)?.to(dtype))
    }

    private func growth(at positions: Tensor) throws -> Tensor? {
        guard let growth = plan.queryGrowth else { return nil }
        let shape = positions.shape
        // Positions are whole numbers: an int64 division would be exact, and so is this one in float64.
        let turns = try (positions.to(.float64) * (1 / growth.every) + 1e-9).to(.int64).to(.float32)
        return try ((turns + 1).log() * growth.by + 1).reshaped([shape[0], shape[1], 1])
    }

    /// The frequencies; those of a dynamic plan depend on the text's length.
    private func frequencies(at positions: Tensor) throws -> Tensor {
        guard case .dynamic(_, let longest) = plan.scaling, positions.count > 0 else { return frequencies }
        let length = (try positions.reshaped([-1]).integers().max() ?? 0) + 1
        guard Double(length) > longest else { return frequencies }
        return try Tensor(plan.frequencies(dimension: dimension, length: length).map(Float.init))
            .to(device: positions.device)
    }

    /// Rotates queries or keys `[batch, heads, length, dim]`; elements beyond the rotated width stay unchanged.
    static func rotate(_ x: Tensor, by angles: Angles) throws -> Tensor {
        try x.rotated(cosine: angles.cosine, sine: angles.sine)
    }
}
