import Foundation
import RetortTensor

/// Which angles positions are turned by.
public struct RotaryPlan: Sendable, Hashable {
    /// How frequencies are stretched for contexts longer than the model was first trained on.
    public enum Scaling: Sendable, Hashable {
        case none
        /// All by one factor.
        case linear(factor: Double)
        /// Low frequencies by the factor, high ones not, those between by a share of it (Llama 3.1).
        case llama3(factor: Double, low: Double, high: Double, original: Double)
        /// Phi-3's factors: the short ones for contexts within the original length. Longer contexts are not offered here;
        /// an export hands the long factors on.
        case longrope(short: [Double], long: [Double], original: Double, longest: Double)
    }

    /// The base of the frequencies.
    public var theta: Double
    /// How they are stretched.
    public var scaling = Scaling.none
    /// The share of a head's width that is turned (Phi-4-mini: 0.75).
    public var share = 1.0
    /// What cosines and sines are multiplied by, where a checkpoint with short and long factors says it itself.
    public var statedAmplitude: Double?

    /// Angles of one base, stretched by nothing.
    public init(theta: Double) { self.theta = theta }

    /// Radians a position, for each pair of a head's turned part.
    func frequencies(dimension: Int) -> [Double] {
        let turned = turnedWidth(of: dimension)
        let plain = stride(from: 0, to: turned, by: 2).map { pow(theta, -Double($0) / Double(turned)) }
        switch scaling {
        case .none: return plain
        case .linear(let factor): return plain.map { $0 / factor }
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

    func turnedWidth(of dimension: Int) -> Int { Int(Double(dimension) * share) / 2 * 2 }

    /// What cosines and sines are multiplied by.
    var amplitude: Double {
        if let statedAmplitude { return statedAmplitude }
        guard case .longrope(_, _, let original, let longest) = scaling, longest > original else { return 1 }
        return (1 + log(longest / original) / log(original)).squareRoot()
    }
}

/// Rotary position embedding (arXiv 2104.09864), in the half-split layout of Hugging Face checkpoints.
struct RotaryEmbedding {
    /// The cosine and sine of each position's angles, `[batch, 1, length, turned width]`.
    struct Angles {
        let cosine: Tensor
        let sine: Tensor
    }

    private let frequencies: Tensor
    private let amplitude: Double

    /// - Parameter dimension: of one head; even.
    init(_ plan: RotaryPlan, dimension: Int, device: Device) throws {
        frequencies = try Tensor(plan.frequencies(dimension: dimension).map(Float.init)).to(device: device)
        amplitude = plan.amplitude
    }

    /// The angles at int64 positions `[batch, length]`, computed once for all layers.
    func angles(at positions: Tensor, dtype: DType) throws -> Angles {
        let shape = positions.shape
        let half = try positions.to(.float32).reshaped([shape[0], 1, shape[1], 1]) * frequencies
        let full = try Tensor.concatenated([half, half], axis: -1)
        guard amplitude != 1 else { return Angles(cosine: try full.cos().to(dtype), sine: try full.sin().to(dtype)) }
        return Angles(cosine: try (full.cos() * amplitude).to(dtype), sine: try (full.sin() * amplitude).to(dtype))
    }

    /// Rotates queries or keys `[batch, heads, length, dim]`; what lies beyond the turned width passes.
    static func rotate(_ x: Tensor, by angles: Angles) throws -> Tensor {
        try x.rotated(cosine: angles.cosine, sine: angles.sine)
    }
}
