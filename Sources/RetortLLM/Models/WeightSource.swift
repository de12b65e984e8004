import Foundation
import RetortCore
import RetortTensor

/// A source of a network's weights: a checkpoint, or a random seed.
public protocol WeightSource {
    /// The tensor of a checkpoint key.
    /// - Throws: when it is missing or has another shape.
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

/// Newly initialised weights: scales 1, biases 0, matrices normally distributed with the given standard deviation.
/// Each tensor depends only on the seed and its own name.
package struct RandomWeights: WeightSource {
    let seed: UInt64
    let deviation: Double
    let dtype: DType
    let device: Device

    /// - Parameter deviation: the standard deviation of matrices; 0.02 as in GPT-2.
    package init(seed: UInt64, deviation: Double = 0.02, dtype: DType = .float32, device: Device = .cpu) {
        self.seed = seed
        self.deviation = deviation
        self.dtype = dtype
        self.device = device
    }

    /// A tensor drawn anew at each call, always the same for the same name and shape.
    package func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
        if name.hasSuffix("norm.weight") || name.hasSuffix("layer_scalar") {
            return try Tensor.full(shape, 1, dtype: dtype, device: device)
        }
        if name.hasSuffix(".bias") { return try Tensor.zeros(shape, dtype: dtype, device: device) }
        return try Tensor.normal(shape, deviation: deviation, seed: seed ^ StableHash.of(name))
            .to(dtype, device: device)
    }
}
