import RetortTensor

/// Root-mean-square normalisation with a learned scale.
final class Norm {
    let name: String
    let weight: Tensor
    let epsilon: Double
    private let isFromOne: Bool

    /// - Parameter isFromOne: whether the scale is stored as its difference from one; nil takes the network's
    ///   setting.
    init(
        _ configuration: DecoderConfiguration, _ name: String, _ weights: any WeightSource, width: Int? = nil,
        isFromOne: Bool? = nil
    ) throws {
        self.name = "\(name).weight"
        weight = try weights.tensor(self.name, [width ?? configuration.hiddenSize])
        epsilon = configuration.normEpsilon
        self.isFromOne = isFromOne ?? configuration.normsFromOne
    }

    /// The factor on normalised elements.
    func scale() throws -> Tensor { try isFromOne ? weight + 1 : weight }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try x.rmsNorm(scale(for: x), epsilon: epsilon) }

    /// The sum of a residual and what is added to it, and the norm of that sum.
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
