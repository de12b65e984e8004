import Foundation
import RetortTensor

/// Rotary position embedding (arXiv 2104.09864), in the half-split layout of Hugging Face checkpoints.
struct RotaryEmbedding {
    /// The cosine and sine of each position's angles, `[batch, 1, length, dim]`.
    struct Angles {
        let cosine: Tensor
        let sine: Tensor
    }

    private let frequencies: Tensor

    /// - Parameters:
    ///   - dimension: of one head; even.
    ///   - base: theta.
    init(dimension: Int, base: Double, device: Device) throws {
        let frequencies = stride(from: 0, to: dimension, by: 2).map {
            Float(pow(base, -Double($0) / Double(dimension)))
        }
        self.frequencies = try Tensor(frequencies).to(device: device)
    }

    /// The angles at int64 positions `[batch, length]`, computed once for all layers.
    func angles(at positions: Tensor, dtype: DType) throws -> Angles {
        let shape = positions.shape
        let half = try positions.to(.float32).reshaped([shape[0], 1, shape[1], 1]) * frequencies
        let full = try Tensor.concatenated([half, half], axis: -1)
        return Angles(cosine: try full.cos().to(dtype), sine: try full.sin().to(dtype))
    }

    /// Rotates queries or keys `[batch, heads, length, dim]`.
    static func rotate(_ x: Tensor, by angles: Angles) throws -> Tensor {
        let half = (x.shape.last ?? 0) / 2
        let parts = try x.split([half, half], axis: -1)
        let turned = try Tensor.concatenated([-parts[1], parts[0]], axis: -1)
        return try x * angles.cosine + turned * angles.sine
    }
}
