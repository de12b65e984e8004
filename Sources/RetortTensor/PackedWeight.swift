import CTorch

/// A weight matrix laid out for inference on the CPU, quantised or in blocks; products are computed in bfloat16.
public struct PackedWeight {
    /// The format of a packed weight.
    public enum Bits: String, Sendable, Codable, CaseIterable {
        /// Unquantised, laid out in blocks that products of any number of rows can read sequentially.
        case bfloat16
        /// Signed bytes with a scale for each row: about half the size of bfloat16.
        case int8
        /// Half bytes with a scale and an offset for every 32 inputs: about a third of the size.
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
    /// The memory that the packed weight takes, in bytes.
    public let bytes: Int
    private static let group = 32

    /// Whether this CPU has our own kernels, for all three formats (AVX512-BF16, AVX512-VNNI).
    public static var hasKernels: Bool { ct_has_blocks() }

    /// Packs a weight `[out, in]`.
    /// - Returns: nil when its extents do not fill whole blocks, or this CPU has no kernel for it.
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

    /// The memory of a packed weight `[out, in]` in bytes; nil when its extents do not fill whole blocks.
    public static func bytes(_ shape: [Int], bits: Bits) -> Int? {
        guard shape.count == 2, shape[0] % 16 == 0, shape[1] % Self.group == 0 else { return nil }
        let count = shape[0] * shape[1]
        switch bits {
        case .bfloat16: return hasKernels ? 2 * count : nil
        case .int8: return count + 2 * shape[0]
        case .int4: return count / 2 + 4 * count / Self.group
        }
    }

    /// The form that `Tensor.linears` takes; the bias is bfloat16.
    package func projection(bias: Tensor?) -> Tensor.Projection { (values, scales, bias) }

    /// The weights as a table for looking up rows, if they are stored in blocks of bfloat16; otherwise nil.
    package var table: Tensor? { scales == nil ? values : nil }

    /// `x · weightᵀ + bias`: `[…, in] → […, out]`, in `x`'s dtype; the bias is bfloat16.
    public func linear(_ x: Tensor, bias: Tensor? = nil) throws -> Tensor {
        let input = x.dtype == .bfloat16 ? x : try x.to(.bfloat16)
        let output = try Tensor.wrap(ct_linear(input.handle, values.handle, scales?.handle, bias?.handle))
        return x.dtype == .bfloat16 ? output : try output.to(x.dtype)
    }
}
