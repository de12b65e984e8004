import RetortCore

/// A value of a GGUF file's metadata.
enum GGUFValue: Sendable {
    case integer(Int)
    case float(Double)
    case bool(Bool)
    case string([UInt8])
    case array(GGUFArray)

    /// ggml's numbers of the types of values.
    enum Kind: UInt32, Sendable {
        case uint8 = 0
        case int8 = 1
        case uint16 = 2
        case int16 = 3
        case uint32 = 4
        case int32 = 5
        case float32 = 6
        case bool = 7
        case string = 8
        case array = 9
        case uint64 = 10
        case int64 = 11
        case float64 = 12

        /// The size of a value in bytes; for texts and arrays, the size of the length.
        var size: Int {
            switch self {
            case .uint8, .int8, .bool: 1
            case .uint16, .int16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64, .string: 8
            case .array: 12
            }
        }
    }

    var string: String? { if case .string(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil } }

    var integer: Int? { if case .integer(let number) = self { number } else { nil } }

    /// The value as a number, if it is one.
    var number: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .float(let number): number
        default: nil
        }
    }

    /// The value for messages.
    var text: String {
        switch self {
        case .integer(let number): "\(number)"
        case .float(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .string(let bytes): "'\(String(decoding: bytes.prefix(80), as: UTF8.self))'"
        case .array(let array): "a list of \(array.count)"
        }
    }
}

/// A list in the metadata. Its elements are read only on request.
struct GGUFArray: Sendable {
    let kind: GGUFValue.Kind
    let count: Int
    /// The place of its elements in the file.
    let range: Range<Int>
}
