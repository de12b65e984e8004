import Foundation
import RetortTensor

/// The memory that a checkpoint's weights would take on the CPU in each precision, and the kernels that would
/// multiply them; no weights are loaded.
package struct PrecisionReport: Sendable, Codable {
    /// One precision.
    package struct Line: Sendable, Codable {
        /// The precision.
        package var weights: WeightPrecision
        /// The size of all weights, in bytes.
        package var bytes: Int
        /// The size of one token's keys and values in the cache, in bytes.
        package var cacheBytes: Int
        /// The kernels that would multiply the weights.
        package var kernels: String
        /// Whether this precision is the default on this machine.
        package var isUsual: Bool
    }

    /// One line for each precision.
    package var lines: [Line]

    /// - Throws: when no network can have the checkpoint's shape.
    package init(_ checkpoint: Checkpoint) throws { try self.init(checkpoint.configuration) }

    init(_ configuration: DecoderConfiguration) throws {
        let network = try DecoderNetwork(configuration, weights: Shapes())
        lines = WeightPrecision.allCases.map { precision in
            Line(
                weights: precision, bytes: network.weightBytes(in: precision),
                cacheBytes: KeyValuePages.bytes(ofPage: configuration, precision.dtype) / KeyValuePages.pageTokens,
                kernels: precision.kernels, isUsual: precision == .usual(on: .cpu))
        }
    }

    /// Tensors of the right shapes that take no memory: all elements are views of a single zero.
    private struct Shapes: WeightSource {
        func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
            try Tensor.shared(shape)
        }
    }
}

extension WeightPrecision {
    /// The kernels that multiply such weights on this CPU.
    public var kernels: String {
        let own = PackedWeight.hasKernels
        let products = Engine.multipliesHalvesInFloats ? "products in float32" : "products in bfloat16"
        let instructions = Engine.multipliesHalvesInRegisters ? "AMX" : "AVX-512"
        let blocks = "Retort's over blocks"
        return switch self {
        case .float32: "libtorch's"
        case .bfloat16: own ? "\(blocks) (\(instructions)), \(products)" : "libtorch's"
        case .int8: own ? "\(blocks) (\(instructions)), exact products of integers" : "libtorch's, eight bits"
        case .int4: own ? "\(blocks) (AVX-512), exact products of integers" : "libtorch's, four bits"
        }
    }
}

extension DecoderNetwork {
    /// The size of the weights on the CPU, in bytes; equal to `weightBytes` after loading and packing.
    fileprivate func weightBytes(in precision: WeightPrecision) -> Int {
        let element = precision.dtype.bytes
        func matrix(_ tensor: Tensor, _ bits: PackedWeight.Bits?) -> Int {
            bits.flatMap { PackedWeight.bytes(tensor.shape, bits: $0) } ?? tensor.count * element
        }
        let matrices = projections.reduce(0) { sum, projection in
            sum + matrix(projection.linear.weight, precision.packing) + (projection.linear.bias?.count ?? 0) * element
        }
        let others = parameters.filter { $0.name.hasSuffix("norm.weight") }.reduce(0) { $0 + $1.tensor.count * element }
        let layerTable = configuration.layerEmbedding.map {
            $0.vocabulary * configuration.layerCount * $0.width
        }
        let embedding = (embedTokens.count + (layerTable ?? 0)) * element
        let headBits = precision.packing.map { $0 == .int4 ? .int8 : $0 }
        let isHeldOnce = configuration.tiesWordEmbeddings && (headBits == nil || headBits == .bfloat16)
        return matrices + others + embedding + (isHeldOnce ? 0 : matrix(head, headBits))
    }
}
