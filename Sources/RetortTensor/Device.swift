import CTorch

/// The device that holds a tensor's elements.
public enum Device: String, Sendable, Codable, CaseIterable {
    /// The processor, or libtorch's current CUDA device.
    case cpu, cuda

    var code: ct_device { self == .cuda ? CT_CUDA : CT_CPU }

    init(_ code: ct_device) { self = code == CT_CUDA ? .cuda : .cpu }

    /// CUDA if libtorch_cuda can be loaded and finds a GPU, otherwise the CPU. The library is looked for once.
    public static var best: Device { isCUDAAvailable ? .cuda : .cpu }

    /// Whether libtorch_cuda could be loaded and found a GPU.
    public static let isCUDAAvailable = cudaRefusal == nil

    /// Why CUDA cannot be used; nil if it can.
    public static let cudaRefusal: String? = {
        let message = String(cString: ct_cuda_refusal())
        return message.isEmpty ? nil : message
    }()
}

/// The type of a tensor's elements.
public enum DType: String, Sendable, Codable, CaseIterable {
    /// The types that libtorch computes or stores; `bool` takes one byte.
    case float32, bfloat16, float16, int64, int32, bool, uint8, float64, int8

    /// The size of an element in bytes.
    public var bytes: Int {
        switch self {
        case .int64, .float64: 8
        case .float32, .int32: 4
        case .bfloat16, .float16: 2
        case .bool, .uint8, .int8: 1
        }
    }

    var code: ct_dtype {
        switch self {
        case .float32: CT_F32
        case .bfloat16: CT_BF16
        case .float16: CT_F16
        case .int64: CT_I64
        case .int32: CT_I32
        case .bool: CT_BOOL
        case .uint8: CT_U8
        case .float64: CT_F64
        case .int8: CT_I8
        }
    }

    init(_ code: ct_dtype) { self = Self.allCases.first { $0.code == code } ?? .float32 }
}

/// The numerics engine as a whole.
public enum Engine {
    /// libtorch's version.
    public static var version: String { String(cString: ct_version()) }

    /// The number of threads that an operation may use.
    public static var threads: Int {
        get { Int(ct_threads()) }
        set { ct_set_threads(Int32(newValue)) }
    }

    /// Whether bfloat16 weights in blocks are multiplied in float32, which is faster on some CPUs.
    public static var multipliesHalvesInFloats: Bool { ct_blocks_multiply_in_floats() }

    /// Whether they are multiplied in AMX's registers, several times as fast for more than a few rows.
    public static var multipliesHalvesInRegisters: Bool { ct_blocks_multiply_in_registers() }
}
