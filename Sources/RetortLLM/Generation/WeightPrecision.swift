import RetortTensor

/// How a model's weights are held and computed with.
public enum WeightPrecision: String, Sendable, Codable, CaseIterable, Hashable, CodingKeyRepresentable {
    /// Four bytes a weight, on every CPU and GPU.
    case float32
    /// Two bytes a weight, as nearly all checkpoints are published.
    case bfloat16
    /// A byte a weight with a scale for each row, on the CPU; the embedding stays in bfloat16.
    case int8
    /// Half a byte a weight with a scale and an offset for every 32 inputs, on the CPU; the head has eight bits.
    case int4

    /// What is taken when nobody says otherwise: bfloat16 where its products are fast, float32 elsewhere.
    public static func usual(on device: Device) -> Self {
        device == .cuda || PackedWeight.hasKernels ? .bfloat16 : .float32
    }

    /// What models take that read whole texts at once, such as encoders, when nobody says otherwise: there the products count and not
    /// the reading of weights, so bfloat16 pays only where the processor multiplies it as it is.
    public static var usualForWholeTexts: Self {
        PackedWeight.hasKernels && !Engine.multipliesHalvesInFloats ? .bfloat16 : .float32
    }

    /// Elements as they are loaded, and those of what goes through the network.
    var dtype: DType { self == .float32 ? .float32 : .bfloat16 }

    /// How matrices are laid out for the CPU.
    var packing: PackedWeight.Bits? {
        switch self {
        case .float32: nil
        case .bfloat16: PackedWeight.hasKernels ? .bfloat16 : nil
        case .int8: .int8
        case .int4: .int4
        }
    }

    /// - Throws: `WeightPrecisionError` where a device has no such products.
    public func check(_ device: Device) throws {
        if device == .cuda, self == .int8 || self == .int4 { throw WeightPrecisionError.notOnCUDA(self) }
    }
}

/// A precision that cannot be had.
public enum WeightPrecisionError: Error, CustomStringConvertible {
    /// Few bits are for the CPU.
    case notOnCUDA(WeightPrecision)

    /// What to take instead.
    public var description: String {
        switch self {
        case .notOnCUDA(let precision):
            "\(precision.rawValue) weights are for the CPU; on CUDA take bfloat16 or float32"
        }
    }
}
