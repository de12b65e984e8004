/// The formats in which GGUF files store a tensor's numbers, with ggml's type numbers (ggml's `ggml.h` and
/// `ggml-common.h`).
enum GGUFStorage: UInt32, CaseIterable, Sendable {
    case float32 = 0
    case float16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    /// Blocks of 32: a half-precision scale, then 32 signed bytes.
    case q8_0 = 8
    case q2_K = 10
    case q3_K = 11
    case q4_K = 12
    case q5_K = 13
    case q6_K = 14
    case iq4_NL = 20
    case iq4_XS = 23
    case bfloat16 = 30

    /// The number of elements in a block, and its size in bytes.
    var block: (numbers: Int, bytes: Int) {
        switch self {
        case .float32: (1, 4)
        case .float16, .bfloat16: (1, 2)
        case .q4_0, .iq4_NL: (32, 18)
        case .q4_1: (32, 20)
        case .q5_0: (32, 22)
        case .q5_1: (32, 24)
        case .q8_0: (32, 34)
        case .q2_K: (256, 84)
        case .q3_K: (256, 110)
        case .q4_K: (256, 144)
        case .q5_K: (256, 176)
        case .q6_K: (256, 210)
        case .iq4_XS: (256, 136)
        }
    }

    /// The size in bytes of `count` elements, which must be whole blocks.
    func size(of count: Int) -> Int { count / block.numbers * block.bytes }

    /// ggml's name.
    var name: String {
        switch self {
        case .float32: "F32"
        case .float16: "F16"
        case .bfloat16: "BF16"
        default: "\(self)".uppercased()
        }
    }

    /// ggml's names of the formats that are not supported, by number.
    private static let others: [UInt32: String] = [
        9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
        24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
        40: "NVFP4", 41: "Q1_0",
    ]

    /// The name of a type number, for messages.
    static func name(of number: UInt32) -> String {
        GGUFStorage(rawValue: number)?.name ?? others[number] ?? "of the unknown type \(number)"
    }
}
