import CTorch

/// Automatic differentiation, and the calls that change a tensor in place.
extension Tensor {
    /// Whether operations on this tensor are recorded.
    public var requiresGradient: Bool { ct_requires_gradient(handle) }

    /// Makes this leaf a parameter whose gradient is computed.
    @discardableResult public func requireGradient() throws -> Tensor {
        try Self.checked(ct_set_requires_gradient(handle, true))
        return self
    }

    /// Stops recording operations on this leaf.
    public func freeze() throws { try Self.checked(ct_set_requires_gradient(handle, false)) }

    /// Adds the gradient of this single value to every parameter it depends on.
    public func backward() throws { try Self.checked(ct_backward(handle)) }

    /// The same from a tensor of any shape, given its own gradient.
    public func backward(_ gradient: Tensor) throws { try Self.checked(ct_backward_from(handle, gradient.handle)) }

    /// The gradient accumulated so far; nil when there is none.
    public func gradient() throws -> Tensor? {
        guard let gradient = ct_gradient(handle) else {
            let message = String(cString: ct_error())
            if message.isEmpty { return nil }
            throw TensorError.libtorch(message)
        }
        return Tensor(owning: gradient)
    }

    /// Drops the accumulated gradient.
    public func clearGradient() { ct_clear_gradient(handle) }

    /// The same values without the record of operations.
    public func detached() throws -> Tensor { try Self.wrap(ct_detach(handle)) }

    /// Some elements in one row, in this tensor's own memory: what is written there is written here.
    /// - Parameter elements: counted as they lie in memory, row by row.
    /// - Throws: `TensorError` where they do not lie one behind the other.
    public func flatView(_ elements: Range<Int>) throws -> Tensor {
        try Self.wrap(ct_flat_view(handle, Int64(elements.lowerBound), Int64(elements.count)))
    }

    /// Overwrites this tensor's values; the shapes must match, dtypes are converted.
    public func assign(_ source: Tensor) throws { try Self.checked(ct_copy_into(handle, source.handle)) }

    /// Overwrites the elements `[rows[i], columns[i]]` with `values[i]`; `rows` and `columns` are int64 of the same
    /// shape.
    public func put(rows: Tensor, columns: Tensor, _ values: Tensor) throws {
        try Self.checked(ct_put(handle, rows.handle, columns.handle, values.handle))
    }

    /// Multiplies this tensor in place.
    public func scale(by factor: Double) throws { try Self.checked(ct_scale(handle, factor)) }

    /// The Euclidean norm over all elements of all tensors.
    public static func norm(_ tensors: [Tensor]) throws -> Double {
        let norm = tensors.map(\.handle).withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { ct_norm($0, Int32(buffer.count)) } ?? 0
        }
        guard norm >= 0 || norm.isNaN else { throw TensorError.libtorch(String(cString: ct_error())) }
        return norm
    }
}

/// Runs `body` without recording operations. The previous mode is restored afterwards, even after an error.
///
/// The mode belongs to the thread, so `body` cannot suspend.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try recording(false, body)
}

/// Runs `body` while recording operations, even inside `withoutGradients`.
public func withGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try recording(true, body)
}

private func recording<Result>(_ isRecorded: Bool, _ body: () throws -> Result) rethrows -> Result {
    let previous = ct_gradients_enabled()
    ct_set_gradients_enabled(isRecorded)
    defer { ct_set_gradients_enabled(previous) }
    return try body()
}

/// A parameter with the two running moments of AdamW.
public struct AdamWState {
    /// The weights.
    public let parameter: Tensor
    /// The running mean of gradients.
    public let mean: Tensor
    /// The running mean of squared gradients.
    public let variance: Tensor

    /// A state with moments of zero.
    public init(_ parameter: Tensor) throws {
        self.parameter = parameter
        mean = try Tensor.zeros(parameter.shape, dtype: parameter.dtype, device: parameter.device)
        variance = try Tensor.zeros(parameter.shape, dtype: parameter.dtype, device: parameter.device)
    }
}

/// One step of AdamW (arXiv 1711.05101, algorithm 2) with libtorch's fused kernel.
/// - Parameter step: the number of this step, counted from 1.
public func adamWStep(
    _ states: [AdamWState], gradients: [Tensor], step: Int, rate: Double, beta1: Double = 0.9, beta2: Double = 0.999,
    epsilon: Double = 1e-8, decay: Double = 0
) throws {
    guard !states.isEmpty else { return }
    try Tensor.checked(
        states.map(\.parameter.handle).withUnsafeBufferPointer { parameters in
            gradients.map(\.handle).withUnsafeBufferPointer { gradients in
                states.map(\.mean.handle).withUnsafeBufferPointer { means in
                    states.map(\.variance.handle).withUnsafeBufferPointer { variances -> Int32 in
                        guard let p = parameters.baseAddress, let g = gradients.baseAddress,
                            let m = means.baseAddress, let v = variances.baseAddress
                        else { return 0 }
                        return ct_adamw(
                            p, g, m, v, Int32(parameters.count), Int64(step), rate, beta1, beta2, epsilon, decay)
                    }
                }
            }
        })
}
