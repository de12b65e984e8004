import RetortTensor

/// The kinds of layers that carry a state from token to token instead of attending to earlier tokens.
public enum CarryingLayer: Codable, Sendable, Hashable {
    /// A short convolution between two gates (LFM2).
    case convolution(taps: Int, bias: Bool)
    /// A memory matrix that each token reads, corrects and decays (gated delta rule, Qwen3.5).
    case delta(DeltaShape)
}

/// The shape of a layer with the gated delta rule.
public struct DeltaShape: Codable, Sendable, Hashable {
    /// Heads of queries and keys.
    public var keyHeads: Int
    /// Heads of values: as many as key heads, or a multiple.
    public var valueHeads: Int
    /// The widths of one head.
    public var keyWidth, valueWidth: Int
    /// The number of tokens that the convolution sees.
    public var taps: Int

    /// The width of queries, keys and values together, which go through the convolution.
    var mixedWidth: Int { 2 * keyHeads * keyWidth + valueHeads * valueWidth }
}

extension DecoderConfiguration {
    /// Whether any layer carries a state.
    public var carriesStates: Bool { !carrying.isEmpty }

    /// The size of all layers' states for one text, in bytes.
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

/// The part of a layer that mixes its tokens: attention or what replaces it.
protocol Mixer: AnyObject {
    func callAsFunction(_ x: Tensor, _ pass: LayerPass, _ context: some AttentionContext) throws -> Tensor
    var projections: [(name: String, linear: Linear)] { get }
    var norms: [Norm] { get }
    /// Weights other than projections and norms.
    var others: [(name: String, tensor: Tensor)] { get }
}

/// A causal convolution of each channel over the last tokens; the last tap is the current token's.
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

    /// Computed tap by tap in float32, so that a token's result does not depend on how many tokens come at once.
    /// - Parameters:
    ///   - x: `[1, length, width]`.
    ///   - before: the preceding tokens, `[1, taps - 1, width]`; nil at the beginning of a text.
    /// - Returns: the result, and the last tokens for the next call.
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
        // A copy, since a view would keep all tokens in memory.
        let last = try Tensor.range(length..<length + taps - 1, device: x.device)
        return (try sum.to(x.dtype), try whole.rows(last, axis: 1))
    }

    var parameters: [(name: String, tensor: Tensor)] {
        [("\(name).weight", weight)] + (bias.map { [("\(name).bias", $0)] } ?? [])
    }
}
