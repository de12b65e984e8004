import CTorch

/// A matrix of weights laid out for inference on the CPU, in few bits or in blocks; products are in bfloat16.
public struct PackedWeight {
    /// How a weight is held.
    public enum Bits: String, Sendable, Codable, CaseIterable {
        /// As it is, laid out in blocks that products of any number of rows read as they lie.
        case bfloat16
        /// Signed bytes, a scale for each row: about half of bfloat16's size.
        case int8
        /// Half bytes, a scale and an offset for every 32 inputs: about a third.
        case int4

        fileprivate var count: Int32 {
            switch self {
            case .bfloat16: 16
            case .int8: 8
            case .int4: 4
            }
        }
    }

    let values: Tensor
    let scales: Tensor?
    /// How much memory it takes, in bytes.
    public let bytes: Int
    private static let group = 32

    /// Whether this CPU has kernels of ours, of all three kinds (AVX512-BF16, AVX512-VNNI).
    public static var hasKernels: Bool { ct_has_blocks() }

    /// Packs a weight `[out, in]`.
    /// - Returns: nil when its extents do not fit the blocks, or this CPU has no kernel for it.
    public init?(_ weight: Tensor, bits: Bits) throws {
        guard weight.rank == 2, weight.device == .cpu, weight.shape[0] % 16 == 0, weight.shape[1] % Self.group == 0
        else { return nil }
        var values: OpaquePointer?
        var scales: OpaquePointer?
        if Self.hasKernels {
            try Tensor.checked(ct_pack_blocks(weight.handle, bits.count, &values, &scales))
        } else if bits != .bfloat16 {
            try Tensor.checked(ct_pack(weight.handle, bits.count, &values, &scales))
        }
        guard values != nil, let bytes = Self.bytes(weight.shape, bits: bits) else { return nil }
        self.bytes = bytes
        self.values = try Tensor.wrap(values)
        self.scales = try scales.map { try Tensor.wrap($0) }
    }

    /// How much memory a weight `[out, in]` takes so, in bytes; nil when its extents do not fit.
    public static func bytes(_ shape: [Int], bits: Bits) -> Int? {
        guard shape.count == 2, shape[0] % 16 == 0, shape[1] % Self.group == 0 else { return nil }
        let count = shape[0] * shape[1]
        switch bits {
        case .bfloat16: return hasKernels ? 2 * count : nil
        case .int8: return count + 2 * shape[0]
        case .int4: return count / 2 + 4 * count / Self.group
        }
    }

    /// What `Tensor.linears` takes; the bias is bfloat16.
    package func projection(bias: Tensor?) -> Tensor.Projection { (values, scales, bias) }

    /// The weights as a table to look rows up in, where they are held in blocks of bfloat16.
    package var table: Tensor? { scales == nil ? values : nil }

    /// `x · weightᵀ + bias`: `[…, in] → […, out]`, in `x`'s dtype; the bias is bfloat16.
    public func linear(_ x: Tensor, bias: Tensor? = nil) throws -> Tensor {
        let input = x.dtype == .bfloat16 ? x : try x.to(.bfloat16)
        let output = try Tensor.wrap(ct_linear(input.handle, values.handle, scales?.handle, bias?.handle))
        return x.dtype == .bfloat16 ? output : try output.to(x.dtype)
    }
}
