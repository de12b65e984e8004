import RetortTensor

/// Root-mean-square normalisation with a learned scale.
final class Norm {
    let name: String
    let weight: Tensor
    let epsilon: Double
    private let isFromOne: Bool

    /// - Parameter isFromOne: whether the scale is stored as its difference from one; nil where it is as in all of the network.
    init(
        _ configuration: DecoderConfiguration, _ name: String, _ weights: any WeightSource, width: Int? = nil,
        isFromOne: Bool? = nil
    ) throws {
        self.name = "\(name).weight"
        weight = try weights.tensor(self.name, [width ?? configuration.hiddenSize])
        epsilon = configuration.normEpsilon
        self.isFromOne = isFromOne ?? configuration.normsFromOne
    }

    /// What normalised elements are multiplied by.
    func scale() throws -> Tensor { try isFromOne ? weight + 1 : weight }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try x.rmsNorm(scale(for: x), epsilon: epsilon) }

    /// A residual with what is added to it, and that sum's norm.
    func adding(_ other: Tensor, to x: Tensor) throws -> (sum: Tensor, norm: Tensor) {
        guard other.dtype == x.dtype else {
            let sum = try x + other
            return (sum, try self(sum))
        }
        return try x.adding(other, normalisedBy: scale(for: x), epsilon: epsilon)
    }

    private func scale(for x: Tensor) throws -> Tensor {
        let scale = try scale()
        return scale.dtype == x.dtype ? scale : try scale.to(x.dtype)
    }
}
