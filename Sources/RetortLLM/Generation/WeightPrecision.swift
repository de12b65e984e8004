import RetortTensor

/// The precision of a model's weights and of the computation with them.
public enum WeightPrecision: String, Sendable, Codable, CaseIterable, Hashable, CodingKeyRepresentable {
    /// Four bytes per weight, on every CPU and GPU.
    case float32
    /// Two bytes per weight, the form in which nearly all checkpoints are published.
    case bfloat16
    /// One byte per weight with a scale for each row, on the CPU; the embedding stays in bfloat16.
    case int8
    /// Half a byte per weight with a scale and an offset for every 32 inputs, on the CPU; the head has eight bits.
    case int4

    /// The default: bfloat16 where its products are fast, float32 elsewhere.
    public static func usual(on device: Device) -> Self {
        device == .cuda || PackedWeight.hasKernels ? .bfloat16 : .float32
    }

    /// The default of models that read whole texts at once, such as encoders. Their time goes into products instead
    /// of reading weights, so bfloat16 pays off only if the processor multiplies it natively.
    public static var usualForWholeTexts: Self {
        PackedWeight.hasKernels && !Engine.multipliesHalvesInFloats ? .bfloat16 : .float32
    }

    /// The element type of loaded weights and of activations.
    var dtype: DType { self == .float32 ? .float32 : .bfloat16 }

    /// How matrices are packed for the CPU; nil for no packing.
    var packing: PackedWeight.Bits? {
        switch self {
        case .float32: nil
        case .bfloat16: PackedWeight.hasKernels ? .bfloat16 : nil
        case .int8: .int8
        case .int4: .int4
        }
    }

    /// - Throws: `WeightPrecisionError` when the device does not support the precision.
    public func check(_ device: Device) throws {
        if device == .cuda, self == .int8 || self == .int4 { throw WeightPrecisionError.notOnCUDA(self) }
    }
}

/// A precision that the device does not support.
public enum WeightPrecisionError: Error, CustomStringConvertible {
    /// int8 and int4 need the CPU.
    case notOnCUDA(WeightPrecision)

    /// What to use instead.
    public var description: String {
        switch self {
        case .notOnCUDA(let precision):
            "\(precision.rawValue) weights are for the CPU; on CUDA take bfloat16 or float32"
        }
    }
}
