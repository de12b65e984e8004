import CTorch

/// A matrix of weights in few bits, for inference on the CPU; products are in bfloat16.
public struct PackedWeight {
    /// How many bits a weight takes.
    public enum Bits: String, Sendable, Codable, CaseIterable {
        /// Signed bytes, a scale for each row: about half of bfloat16's size.
        case int8
        /// Half bytes, a scale and an offset for every 32 inputs: about a third.
        case int4
    }

    let values: Tensor
    let scales: Tensor
    private static let group = 32

    /// Packs a weight `[out, in]`.
    /// - Returns: nil when its extents do not fit the format's blocks.
    public init?(_ weight: Tensor, bits: Bits) throws {
        guard weight.rank == 2, weight.device == .cpu, weight.shape[0] % 16 == 0, weight.shape[1] % Self.group == 0
        else { return nil }
        var values: OpaquePointer?
        var scales: OpaquePointer?
        switch bits {
        case .int8: try Tensor.checked(ct_pack_int8(weight.handle, &values, &scales))
        case .int4: try Tensor.checked(ct_pack_int4(weight.handle, &values, &scales))
        }
        self.values = try Tensor.wrap(values)
        self.scales = try Tensor.wrap(scales)
    }

    /// What `Tensor.linears` takes; the bias is bfloat16.
    package func projection(bias: Tensor?) -> Tensor.Projection { (values, scales, bias) }

    /// `x · weightᵀ + bias`: `[…, in] → […, out]`, in `x`'s dtype; the bias is bfloat16.
    public func linear(_ x: Tensor, bias: Tensor? = nil) throws -> Tensor {
        let input = x.dtype == .bfloat16 ? x : try x.to(.bfloat16)
        let output = try Tensor.wrap(ct_linear(input.handle, values.handle, scales.handle, bias?.handle))
        return x.dtype == .bfloat16 ? output : try output.to(x.dtype)
    }
}
