/// A position in a GGUF file's bytes that advances as they are read. Nothing is read beyond the end, and every error
/// says at which byte it occurred.
struct GGUFCursor {
    let bytes: UnsafeRawBufferPointer
    let path: String
    var position = 0

    /// The largest metadata, in bytes; published files have up to 40 MB.
    static let longestHeader = 1 << 28
    /// ggml's limit.
    static let longestName = 1 << 16
    /// How deeply lists may be nested.
    private static let deepest = 4

    var rest: Int { bytes.count - position }

    func malformed(_ what: String) -> CheckpointError { .malformed(file: path, "\(what) at byte \(position)") }

    private func require(_ count: Int, _ what: String) throws {
        guard count <= rest else {
            throw CheckpointError.truncated(
                file: path, "\(what) at byte \(position) takes \(count) bytes, and \(rest) are left")
        }
        guard position + count <= Self.longestHeader else {
            throw CheckpointError.malformed(
                file: path, "its metadata goes beyond \(Self.longestHeader) bytes, with \(what) at byte \(position)")
        }
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type, _ what: String) throws -> Number {
        let size = MemoryLayout<Number>.size
        try require(size, what)
        defer { position += size }
        return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Number.self))
    }

    /// A count of things that take at least `size` bytes each.
    mutating func count(of size: Int, _ what: String) throws -> Int {
        let start = position
        let count = try number(UInt64.self, what)
        guard count <= UInt64(rest / max(size, 1)) else {
            throw CheckpointError.malformed(
                file: path, "\(what) at byte \(start) is \(count), for which \(rest) bytes are too few")
        }
        return Int(count)
    }

    /// A text preceded by its length.
    mutating func string(_ what: String, upTo limit: Int = longestHeader) throws -> UnsafeRawBufferPointer {
        let start = position
        let count = try number(UInt64.self, what)
        guard count <= UInt64(limit) else {
            throw CheckpointError.malformed(file: path, "\(what) at byte \(start) claims \(count) bytes")
        }
        try require(Int(count), what)
        defer { position += Int(count) }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(count)])
    }

    mutating func name(_ what: String) throws -> String {
        let start = position
        let text = try string(what, upTo: Self.longestName)
        guard let name = String(validating: text, as: UTF8.self), !name.isEmpty else {
            throw CheckpointError.malformed(file: path, "\(what) at byte \(start) is no UTF-8 text")
        }
        return name
    }

    mutating func kind(_ what: String) throws -> GGUFValue.Kind {
        let start = position
        let number = try number(UInt32.self, what)
        guard let kind = GGUFValue.Kind(rawValue: number) else {
            throw CheckpointError.malformed(file: path, "\(what) at byte \(start) has the unknown type \(number)")
        }
        return kind
    }

    mutating func value(_ kind: GGUFValue.Kind, _ what: String, depth: Int = 0) throws -> GGUFValue {
        switch kind {
        case .uint8: return .integer(Int(try number(UInt8.self, what)))
        case .int8: return .integer(Int(try number(Int8.self, what)))
        case .uint16: return .integer(Int(try number(UInt16.self, what)))
        case .int16: return .integer(Int(try number(Int16.self, what)))
        case .uint32: return .integer(Int(try number(UInt32.self, what)))
        case .int32: return .integer(Int(try number(Int32.self, what)))
        case .int64: return .integer(Int(try number(Int64.self, what)))
        case .uint64:
            let number = try number(UInt64.self, what)
            guard let whole = Int(exactly: number) else { throw malformed("\(what) is \(number)") }
            return .integer(whole)
        case .float32: return .float(Double(Float(bitPattern: try number(UInt32.self, what))))
        case .float64: return .float(Double(bitPattern: try number(UInt64.self, what)))
        case .bool:
            let number = try number(UInt8.self, what)
            guard number <= 1 else { throw malformed("\(what) is \(number), neither true nor false,") }
            return .bool(number == 1)
        case .string: return .string(Array(try string(what)))
        case .array:
            guard depth < Self.deepest else { throw malformed("\(what) has lists in lists, more than \(Self.deepest)") }
            return .array(try array(what, depth: depth))
        }
    }

    /// Skips a list, checking every length in it.
    private mutating func array(_ what: String, depth: Int) throws -> GGUFArray {
        let kind = try kind(what)
        let count = try count(of: kind.size, "the length of \(what)")
        let start = position
        switch kind {
        case .string: for _ in 0..<count { _ = try string(what) }
        case .array: for _ in 0..<count { _ = try value(.array, what, depth: depth + 1) }
        default:
            try require(count * kind.size, what)
            position += count * kind.size
        }
        return GGUFArray(kind: kind, count: count, range: start..<position)
    }
}
