import RetortTensor
import Synchronization

/// Decides whether libtorch's fused kernel computes attention over packed rows, and records why not.
///
/// Its first use with a shape is a trial: for a small prefix tree, outputs and gradients are compared with plain
/// products. A kernel that this GPU or build lacks, or that masks differently, is not used, and the reason is kept.
package enum FusedAttention {
    /// Why the fused kernel is not used; `PackedAttention` then goes segment by segment.
    package enum Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        /// The model is on the CPU.
        case device
        /// The kernel does not take this element type.
        case dtype(DType)
        /// The kernel does not take heads of this width.
        case headDimension(Int)
        /// The kernel cannot cap scores.
        case cappedScores
        /// The kernel failed in its trial, with this error.
        case failed(String)
        /// The kernel's result was off by this much, relative to the largest element.
        case inexact(of: String, by: Float)

        /// The reason in words.
        package var description: String {
            switch self {
            case .device: "the fused kernel is for CUDA, and the model is on the CPU"
            case .dtype(let dtype): "the fused kernel takes bfloat16 and float16, not \(dtype.rawValue)"
            case .headDimension(let dimension):
                "the fused kernel takes heads of up to 256 elements, in eights, not \(dimension)"
            case .cappedScores: "the fused kernel has no soft cap on scores"
            case .failed(let message): "the fused kernel failed its trial: \(message)"
            case .inexact(let part, let error):
                "the fused kernel failed its trial: its \(part) was off by \(error) of the largest element"
            }
        }
    }

    /// Everything that determines the choice of the kernel.
    struct Shape: Hashable, Sendable {
        let heads: Int
        let keyHeads: Int
        let dimension: Int
        let dtype: DType
        let device: Device
        let form: AttentionForm
    }

    /// The results of trials.
    private static let trials = Mutex<[Shape: Refusal?]>([:])

    /// The largest acceptable error in a trial, relative to the largest element; rounding in bfloat16 stays well
    /// below.
    private static let tolerance: Float = 0.03

    /// Why the fused kernel cannot be used for a network's layers, as far as that is known without a trial; nil if it
    /// may be.
    package static func refusal(_ configuration: DecoderConfiguration, dtype: DType, device: Device) -> Refusal? {
        let shapes = (0..<configuration.layerCount).map { layer in
            let heads = configuration.heads(ofLayer: layer)
            return Shape(
                heads: configuration.headCount, keyHeads: heads.count, dimension: heads.dimension, dtype: dtype,
                device: device,
                form: AttentionForm(window: configuration.windows[layer], cap: configuration.scoreCap))
        }
        return Set(shapes).lazy.compactMap(refusal(of:)).first
    }

    /// Why the kernel cannot be used on this machine, tried with the shape of Qwen2.5-0.5B with and without a window;
    /// nil if it can.
    static var refusalHere: String? {
        if let refusal = Device.cudaRefusal { return refusal }
        let outcomes = [nil, 4096].map { window in
            trial(
                Shape(
                    heads: 14, keyHeads: 2, dimension: 64, dtype: .bfloat16, device: .cuda,
                    form: AttentionForm(window: window)), PackedSequences.fused)
        }
        return outcomes.compactMap(\.self).first.map { "\($0)" }
    }

    /// Why the fused kernel cannot be used for a layer's attention; nil if it can.
    static func refusal(_ query: Tensor, _ key: Tensor, _ form: AttentionForm) -> Refusal? {
        guard query.device == .cuda else { return .device }
        let shape = Shape(
            heads: query.shape[1], keyHeads: key.shape[1], dimension: query.shape[3], dtype: query.dtype,
            device: query.device, form: form)
        if let refusal = refusal(of: shape) { return refusal }
        return trials.withLock { known in
            if let outcome = known[shape] { return outcome }
            let outcome = trial(shape, PackedSequences.fused)
            known[shape] = .some(outcome)
            return outcome
        }
    }

    /// The reasons that are known without a trial.
    static func refusal(of shape: Shape) -> Refusal? {
        if shape.device != .cuda { return .device }
        if shape.form.cap != nil { return .cappedScores }
        if ![.bfloat16, .float16].contains(shape.dtype) { return .dtype(shape.dtype) }
        if shape.dimension > 256 || !shape.dimension.isMultiple(of: 8) { return .headDimension(shape.dimension) }
        return nil
    }

    /// Compares a kernel's outputs and gradients with plain products, on a tree with branches and a separate sample.
    static func trial(_ shape: Shape, _ kernel: PackedSequences.Kernel) -> Refusal? {
        let segments = [
            RowSegment(length: 9), RowSegment(length: 5, parent: 0), RowSegment(length: 7, parent: 0),
            RowSegment(length: 3, parent: 2), RowSegment(length: 6),
        ]
        var form = shape.form
        // Short enough for these rows that a mask that is off by one shows.
        if form.window != nil { form.window = 4 }
        do {
            let sequences = try PackedSequences(segments, pasts: [], device: shape.device)
            let (found, expected) = try withGradients {
                (
                    try results(shape, shape.dtype, sequences, form, kernel, segments),
                    try results(shape, .float32, sequences, form, PackedSequences.plain, segments)
                )
            }
            for (part, (found, expected)) in zip(["output", "query", "key", "value"], zip(found, expected)) {
                let largest = expected.map(abs).max() ?? 0
                let isWhole = found.count == expected.count && found.allSatisfy(\.isFinite)
                let error = isWhole ? zip(found, expected).map { abs($0 - $1) / largest }.max() : nil
                let name = part == "output" ? part : "gradient of the \(part)"
                guard let error, error < tolerance else { return .inexact(of: name, by: error ?? .infinity) }
            }
            return nil
        } catch TensorError.libtorch(let message) {
            return .failed(message)
        } catch {
            return .failed("\(error)")
        }
    }

    /// The output, and the gradients of query, key and value, for random inputs.
    private static func results(
        _ shape: Shape, _ dtype: DType, _ sequences: PackedSequences, _ form: AttentionForm,
        _ kernel: PackedSequences.Kernel, _ segments: [RowSegment]
    ) throws -> [[Float]] {
        let length = segments.reduce(0) { $0 + $1.length }
        func drawn(_ heads: Int, _ seed: UInt64) throws -> Tensor {
            try Tensor.normal([1, heads, length, shape.dimension], deviation: 1, seed: seed)
                .to(shape.dtype, device: shape.device).to(dtype)
        }
        let inputs = try [
            drawn(shape.heads, 1).requireGradient(), drawn(shape.keyHeads, 2).requireGradient(),
            drawn(shape.keyHeads, 3).requireGradient(),
        ]
        let output = try sequences.attend(inputs[0], inputs[1], inputs[2], read: [], form: form, by: kernel)
        try (output.to(.float32) * drawn(shape.heads, 4).to(.float32)).sum().backward()
        return try [output.detached().floats()] + inputs.map { try $0.gradient()?.floats() ?? [] }
    }
}
