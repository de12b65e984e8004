import CTorch
import Foundation

/// A multi-dimensional array on a device, with automatic differentiation: a handle to a libtorch tensor.
///
/// Operations return new tensors and throw `TensorError` with libtorch's own message, so a wrong shape is an error in
/// Swift and never ends the process. One `try` covers a whole expression:
///
/// ```swift
/// let hidden = try (input.matmul(weight) + bias).tanh()
/// ```
///
/// A tensor belongs to one task at a time; it is deliberately not `Sendable`. Models live inside an actor or a function.
public final class Tensor {
    let handle: OpaquePointer

    init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { ct_free(handle) }

    /// The element type.
    public var dtype: DType { DType(ct_dtype_of(handle)) }
    /// The device that holds the elements.
    public var device: Device { Device(ct_device_of(handle)) }
    /// The number of axes.
    public var rank: Int { Int(ct_rank(handle)) }
    /// The extents, outermost first.
    public var shape: [Int] { (0..<rank).map { Int(ct_extent(handle, Int32($0))) } }
    /// The number of elements.
    public var count: Int { Int(ct_count(handle)) }
    /// The size of the elements in bytes.
    public var byteCount: Int { count * dtype.bytes }
}

// MARK: - Making tensors

extension Tensor {
    /// A tensor on the CPU with the given elements, row by row.
    public convenience init(_ elements: [Float], shape: [Int]? = nil) throws {
        try self.init(elements: elements, shape: shape ?? [elements.count], dtype: .float32)
    }

    /// A tensor of 64-bit integers on the CPU, as indices are.
    public convenience init(integers elements: [Int], shape: [Int]? = nil) throws {
        try self.init(elements: elements.map(Int64.init), shape: shape ?? [elements.count], dtype: .int64)
    }

    private convenience init<Element>(elements: [Element], shape: [Int], dtype: DType) throws {
        let handle = try elements.withUnsafeBytes { bytes in try Self.copy(bytes, shape: shape, dtype: dtype) }
        self.init(owning: handle)
    }

    /// A tensor on the CPU from raw little-endian bytes, the form in safetensors files.
    /// - Throws: `TensorError` when the byte count does not fit the shape.
    public convenience init(bytes: Data, shape: [Int], dtype: DType) throws {
        self.init(owning: try bytes.withUnsafeBytes { try Self.copy($0, shape: shape, dtype: dtype) })
    }

    private static func copy(_ bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) throws -> OpaquePointer {
        let expected = shape.reduce(1, *) * dtype.bytes
        guard bytes.count == expected else {
            throw TensorError.wrongByteCount(expected: expected, found: bytes.count, shape: shape)
        }
        guard let base = bytes.baseAddress else { return try full(shape, 0, dtype: dtype).alias() }
        return try checked(ct_from_bytes(base, shape.map(Int64.init), Int32(shape.count), dtype.code))
    }

    private func alias() throws -> OpaquePointer { try Self.checked(ct_alias(handle)) }

    /// A tensor with the same value everywhere.
    public static func full(
        _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try wrap(ct_full(shape.map(Int64.init), Int32(shape.count), value, dtype.code, device.code))
    }

    /// A tensor of zeros.
    public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try full(shape, 0, dtype: dtype, device: device)
    }

    /// A tensor of zeros that takes no memory, where only the shape counts: all elements are views of a single one.
    package static func shared(_ shape: [Int]) throws -> Tensor { try zeros(shape.map { _ in 1 }).expanded(shape) }

    /// Normally distributed float32 elements with mean 0; the same seed gives the same elements.
    public static func normal(_ shape: [Int], deviation: Double, seed: UInt64) throws -> Tensor {
        try wrap(ct_normal(shape.map(Int64.init), Int32(shape.count), deviation, seed))
    }

    /// Uniformly distributed float32 elements; the same seed gives the same elements.
    public static func uniform(_ shape: [Int], in range: Range<Double>, seed: UInt64) throws -> Tensor {
        try wrap(ct_uniform(shape.map(Int64.init), Int32(shape.count), range.lowerBound, range.upperBound, seed))
    }

    /// The integers of a range, as int64 `[range.count]`.
    public static func range(_ range: Range<Int>, device: Device = .cpu) throws -> Tensor {
        try wrap(ct_arange(Int64(range.lowerBound), Int64(range.upperBound), device.code))
    }
}

// MARK: - Reading tensors

extension Tensor {
    /// All elements as floats, row by row.
    public func floats() throws -> [Float] {
        try (dtype == .float32 ? self : to(.float32)).elements(0)
    }

    /// All elements as integers, row by row.
    public func integers() throws -> [Int] {
        let values: [Int64] = try (dtype == .int64 ? self : to(.int64)).elements(0)
        return values.map(Int.init)
    }

    /// The only element of a one-element tensor.
    public func item() throws -> Float {
        guard count == 1, let value = try floats().first else { throw TensorError.notOneElement(shape) }
        return value
    }

    /// The raw little-endian bytes, row by row, in the tensor's own dtype.
    public func bytes() throws -> Data {
        var data = Data(count: count * dtype.bytes)
        try data.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            try Self.checked(ct_copy_bytes(handle, base, buffer.count))
        }
        return data
    }

    private func elements<Element>(_ zero: Element) throws -> [Element] {
        var values = [Element](repeating: zero, count: count)
        try values.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            try Self.checked(ct_copy_bytes(handle, base, buffer.count))
        }
        return values
    }

    /// The same values in another dtype or on another device.
    public func to(_ dtype: DType? = nil, device: Device? = nil) throws -> Tensor {
        try Self.wrap(ct_to(handle, (dtype ?? self.dtype).code, (device ?? self.device).code))
    }
}

// MARK: - Crossing into C

extension Tensor {
    /// Takes ownership of a result, or throws libtorch's message.
    static func wrap(_ handle: OpaquePointer?) throws -> Tensor { Tensor(owning: try checked(handle)) }

    static func checked(_ handle: OpaquePointer?) throws -> OpaquePointer {
        guard let handle else { throw TensorError.libtorch(String(cString: ct_error())) }
        return handle
    }

    static func checked(_ status: Int32) throws {
        guard status == 0 else { throw TensorError.libtorch(String(cString: ct_error())) }
    }
}
