import Foundation
import RetortCore
import RetortTensor

/// Where a network's weights come from: a checkpoint, or a seed.
public protocol WeightSource {
    /// The tensor under a checkpoint key, checked to be of the given shape.
    func tensor(_ name: String, _ shape: [Int]) throws -> Tensor
}

/// Whether a projection has a bias.
enum Bias { case present, absent }

extension WeightSource {
    func linear(_ name: String, from inputs: Int, to outputs: Int, bias: Bias) throws -> Linear {
        Linear(
            weight: try tensor("\(name).weight", [outputs, inputs]),
            bias: bias == .present ? try tensor("\(name).bias", [outputs]) : nil)
    }
}

/// Fresh weights: scales 1, biases 0, matrices normal with the given deviation. Each tensor depends on the seed and its
/// own name only.
public struct RandomWeights: WeightSource {
    let seed: UInt64
    let deviation: Double
    let dtype: DType
    let device: Device

    public init(seed: UInt64, deviation: Double = 0.02, dtype: DType = .float32, device: Device = .cpu) {
        self.seed = seed
        self.deviation = deviation
        self.dtype = dtype
        self.device = device
    }

    public func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        if name.hasSuffix("norm.weight") { return try Tensor.full(shape, 1, dtype: dtype, device: device) }
        if name.hasSuffix(".bias") { return try Tensor.zeros(shape, dtype: dtype, device: device) }
        return try Tensor.normal(shape, deviation: deviation, seed: seed ^ StableHash.of(name))
            .to(dtype, device: device)
    }
}
