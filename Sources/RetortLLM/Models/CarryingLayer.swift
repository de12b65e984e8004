import RetortTensor

/// What stands in attention's place in a layer that carries a state from token to token, instead of looking back.
public enum CarryingLayer: Codable, Sendable, Hashable {
    /// A short convolution between two gates (LFM2).
    case convolution(taps: Int, bias: Bool)
    /// A memory that is read, corrected and forgotten a little with each token (Qwen3.5).
    case delta(DeltaShape)
}

/// The shape of a layer with the gated delta rule.
public struct DeltaShape: Codable, Sendable, Hashable {
    public var keyHeads: Int
    /// As many as key heads, or a multiple.
    public var valueHeads: Int
    /// Of one head.
    public var keyWidth, valueWidth: Int
    /// How many tokens the convolution sees.
    public var taps: Int

    /// What goes through the convolution: queries, keys and values.
    var mixedWidth: Int { 2 * keyHeads * keyWidth + valueHeads * valueWidth }
}

extension DecoderConfiguration {
    /// Whether any layer carries a state.
    public var carriesStates: Bool { !carrying.isEmpty }

    /// What all layers' states of one text take, in bytes.
    func stateBytes(_ dtype: DType) -> Int {
        carrying.values.reduce(0) { sum, layer in
            switch layer {
            case .convolution(let taps, _): sum + (taps - 1) * hiddenSize * dtype.bytes
            case .delta(let shape):
                sum + (shape.taps - 1) * shape.mixedWidth * dtype.bytes
                    + shape.valueHeads * shape.keyWidth * shape.valueWidth * DType.float32.bytes
            }
        }
    }
}

/// What a layer mixes its tokens with.
protocol Mixer: AnyObject {
    func callAsFunction(
        _ x: Tensor, _ angles: RotaryEmbedding.Angles, _ context: some AttentionContext
    ) throws -> Tensor
    var projections: [(name: String, linear: Linear)] { get }
    var norms: [Norm] { get }
    /// Weights that are neither.
    var others: [(name: String, tensor: Tensor)] { get }
}

/// A convolution over the last tokens, each channel by itself: the last tap is the token's own.
final class DepthwiseConvolution {
    private let name: String
    /// `[width, 1, taps]`.
    private let weight: Tensor
    private let bias: Tensor?
    private let taps: Int

    init(_ name: String, width: Int, taps: Int, bias: Bias, _ weights: any WeightSource) throws {
        self.name = name
        self.taps = taps
        weight = try weights.tensor("\(name).weight", [width, 1, taps])
        self.bias = bias == .present ? try weights.tensor("\(name).bias", [width]) : nil
    }

    /// A tap after the other and in float32, so that a token's result does not depend on how many come at once.
    /// - Parameters:
    ///   - x: `[1, length, width]`.
    ///   - before: the tokens before it, `[1, taps - 1, width]`; nil where there are none.
    /// - Returns: the result, and the last tokens for what follows.
    func callAsFunction(_ x: Tensor, before: Tensor?) throws -> (output: Tensor, after: Tensor) {
        let (length, width) = (x.shape[1], x.shape[2])
        let past = try before ?? Tensor.zeros([1, taps - 1, width], dtype: x.dtype, device: x.device)
        let whole = try taps == 1 ? x : Tensor.concatenated([past, x], axis: 1)
        let exact = try whole.to(.float32)
        func product(_ tap: Int) throws -> Tensor {
            try exact.narrowed(1, tap..<tap + length)
                * weight.narrowed(2, tap..<tap + 1).reshaped([width]).to(.float32)
        }
        var sum = try product(0)
        for tap in 1..<max(taps, 1) { sum = try sum + product(tap) }
        if let bias { sum = try sum + bias.to(.float32) }
        // A copy: a view would hold on to all tokens.
        let last = try Tensor.range(length..<length + taps - 1, device: x.device)
        return (try sum.to(x.dtype), try whole.rows(last, axis: 1))
    }

    var parameters: [(name: String, tensor: Tensor)] {
        [("\(name).weight", weight)] + (bias.map { [("\(name).bias", $0)] } ?? [])
    }
}
