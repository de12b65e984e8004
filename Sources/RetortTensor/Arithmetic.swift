import CTorch

/// Element-wise arithmetic with broadcasting, products and reductions.
extension Tensor {
    /// The element-wise sum.
    public static func + (a: Tensor, b: Tensor) throws -> Tensor { try wrap(ct_add(a.handle, b.handle)) }
    /// The element-wise difference.
    public static func - (a: Tensor, b: Tensor) throws -> Tensor { try wrap(ct_subtract(a.handle, b.handle)) }
    /// The element-wise product.
    public static func * (a: Tensor, b: Tensor) throws -> Tensor { try wrap(ct_multiply(a.handle, b.handle)) }
    /// The element-wise quotient.
    public static func / (a: Tensor, b: Tensor) throws -> Tensor { try wrap(ct_divide(a.handle, b.handle)) }
    /// Adds a number to every element.
    public static func + (a: Tensor, b: Double) throws -> Tensor { try wrap(ct_add_scalar(a.handle, b)) }
    /// Multiplies every element by a number.
    public static func * (a: Tensor, b: Double) throws -> Tensor { try wrap(ct_multiply_scalar(a.handle, b)) }
    /// The negated elements.
    public static prefix func - (a: Tensor) throws -> Tensor { try wrap(ct_negate(a.handle)) }

    /// Where `self < other`, as bool.
    public func less(than other: Tensor) throws -> Tensor { try Self.wrap(ct_less(handle, other.handle)) }
    /// Where `self <= other`, as bool.
    public func lessOrEqual(to other: Tensor) throws -> Tensor { try Self.wrap(ct_less_equal(handle, other.handle)) }

    /// The matrix product, batched over leading axes: `[…, n, k] × […, k, m] → […, n, m]`.
    public func matmul(_ other: Tensor) throws -> Tensor { try Self.wrap(ct_matmul(handle, other.handle)) }

    /// Every element to a power.
    public func power(_ exponent: Double) throws -> Tensor { try Self.wrap(ct_power(handle, exponent)) }
    /// e to the power of every element.
    public func exp() throws -> Tensor { try Self.wrap(ct_exp(handle)) }
    /// The natural logarithm.
    public func log() throws -> Tensor { try Self.wrap(ct_log(handle)) }
    /// One over the square root.
    public func reciprocalSquareRoot() throws -> Tensor { try Self.wrap(ct_rsqrt(handle)) }
    /// The cosine.
    public func cos() throws -> Tensor { try Self.wrap(ct_cos(handle)) }
    /// The sine.
    public func sin() throws -> Tensor { try Self.wrap(ct_sin(handle)) }
    /// The hyperbolic tangent.
    public func tanh() throws -> Tensor { try Self.wrap(ct_tanh(handle)) }
    /// The logistic function, 1 / (1 + exp(−x)), of every element.
    public func sigmoid() throws -> Tensor { try Self.wrap(ct_sigmoid(handle)) }

    /// The sum of all elements, as a tensor of rank 0.
    public func sum() throws -> Tensor { try Self.wrap(ct_sum_all(handle)) }
    /// The sum along an axis, which is removed.
    public func sum(axis: Int) throws -> Tensor { try Self.wrap(ct_sum(handle, Int64(axis), false)) }
    /// The mean along an axis, which is kept with extent 1.
    public func mean(keepingAxis axis: Int) throws -> Tensor { try Self.wrap(ct_mean(handle, Int64(axis), true)) }
    /// The largest element along an axis, which is removed.
    public func maximum(axis: Int) throws -> Tensor { try Self.wrap(ct_maximum(handle, Int64(axis), false)) }
    /// The index of the largest element along an axis, as int64.
    public func argmax(axis: Int) throws -> Tensor { try Self.wrap(ct_argmax(handle, Int64(axis))) }
    /// Probabilities along an axis.
    public func softmax(axis: Int) throws -> Tensor { try Self.wrap(ct_softmax(handle, Int64(axis))) }
    /// Logarithms of the probabilities along an axis.
    public func logSoftmax(axis: Int) throws -> Tensor { try Self.wrap(ct_log_softmax(handle, Int64(axis))) }
    /// Running sums along an axis.
    public func cumulativeSum(axis: Int) throws -> Tensor { try Self.wrap(ct_cumulative_sum(handle, Int64(axis))) }

    /// The `count` largest elements of the last axis, largest first, and their indices.
    public func top(_ count: Int) throws -> (values: Tensor, indices: Tensor) {
        var values: OpaquePointer?
        var indices: OpaquePointer?
        try Self.checked(ct_top(handle, Int64(count), &values, &indices))
        return (try Self.wrap(values), try Self.wrap(indices))
    }
}
