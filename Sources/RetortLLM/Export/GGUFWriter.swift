import Foundation
import RetortCore
import RetortTensor

/// Writes files in llama.cpp's GGUF format, version 3 (ggml's `docs/gguf.md`): typed metadata, a table of tensors,
/// and their data, each aligned to 32 bytes. All numbers are little-endian.
struct GGUFWriter {
    /// A metadata value.
    enum Value {
        case unsigned(UInt32)
        case float(Float)
        case bool(Bool)
        case string([UInt8])
        case strings([[UInt8]])
        case integers([Int32])
        case floats([Float])
        case bools([Bool])

        static func string(_ text: String) -> Value { .string(Array(text.utf8)) }
    }

    /// Keys and values in the order of the file.
    typealias Metadata = [(key: String, value: Value)]

    struct Entry {
        let name: String
        let tensor: Tensor
        let storage: GGUFStorage
    }

    private static let alignment = 32

    static func write(_ metadata: Metadata, _ entries: [Entry], to file: URL) throws {
        var header = Data("GGUF".utf8)
        header.append(number: UInt32(3))
        header.append(number: UInt64(entries.count))
        header.append(number: UInt64(metadata.count))
        for (key, value) in metadata {
            header.append(string: Array(key.utf8))
            header.append(value)
        }
        var offset = 0
        for entry in entries {
            header.append(string: Array(entry.name.utf8))
            let shape = entry.tensor.shape
            header.append(number: UInt32(shape.count))
            // ggml lists extents from the innermost.
            for extent in shape.reversed() { header.append(number: UInt64(extent)) }
            header.append(number: entry.storage.rawValue)
            header.append(number: UInt64(offset))
            offset += aligned(entry.storage.size(of: entry.tensor.count))
        }
        header.append(Data(count: aligned(header.count) - header.count))
        try AtomicFile.write(to: file) { handle in
            try handle.write(contentsOf: header)
            for entry in entries {
                try Task.checkCancellation()
                var bytes = try data(of: entry)
                bytes.append(Data(count: aligned(bytes.count) - bytes.count))
                try handle.write(contentsOf: bytes)
            }
        }
    }

    private static func aligned(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }

    private static func data(of entry: Entry) throws -> Data {
        switch entry.storage {
        case .float32: try Data(entry.tensor.to(.float32).bytes())
        case .float16: try Data(entry.tensor.to(.float16).bytes())
        case .bfloat16: try Data(entry.tensor.to(.bfloat16).bytes())
        case .q8_0: try q8(entry)
        default: throw CheckpointError.unsupported(file: entry.name, "writing \(entry.storage.name)")
        }
    }

    /// Each block of 32 is scaled so that its largest magnitude becomes 127.
    private static func q8(_ entry: Entry) throws -> Data {
        let numbers = try entry.tensor.to(.float32).floats()
        guard numbers.allSatisfy(\.isFinite) else {
            throw CheckpointError.unsupported(file: entry.name, "q8_0 of weights that are not finite")
        }
        var data = Data(capacity: numbers.count / 32 * 34)
        for start in stride(from: 0, to: numbers.count - 31, by: 32) {
            let block = numbers[start..<start + 32]
            let scale = block.reduce(0) { max($0, abs($1)) } / 127
            data.append(number: half(scale))
            // Below the smallest normal number the inverse would be infinite, and the half-precision scale is zero.
            let inverse = scale >= .leastNormalMagnitude ? 1 / scale : 0
            for number in block {
                data.append(UInt8(bitPattern: Int8(min(max((number * inverse).rounded(), -127), 127))))
            }
        }
        return data
    }

    /// The bits of the half-precision number nearest to a number that is not negative.
    private static func half(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let exponent = Int(bits >> 23 & 0xFF) - 127 + 15
        let mantissa = bits & 0x7F_FFFF
        if exponent >= 31 { return 0x7BFF }
        if exponent <= 0 {
            // Subnormal numbers: the implicit bit is written out.
            guard exponent > -11 else { return 0 }
            let shift = UInt32(14 - exponent)
            let full = mantissa | 0x80_0000
            return UInt16(truncatingIfNeeded: (full + (1 << (shift - 1))) >> shift)
        }
        let rounded = (UInt32(exponent) << 10 | mantissa >> 13) + (mantissa >> 12 & 1)
        return UInt16(truncatingIfNeeded: min(rounded, 0x7BFF))
    }
}

extension Data {
    fileprivate mutating func append(number: some FixedWidthInteger) {
        append(contentsOf: Swift.withUnsafeBytes(of: number.littleEndian) { Array($0) })
    }

    fileprivate mutating func append(string bytes: [UInt8]) {
        append(number: UInt64(bytes.count))
        append(contentsOf: bytes)
    }

    /// A value preceded by its type.
    fileprivate mutating func append(_ value: GGUFWriter.Value) {
        switch value {
        case .unsigned(let number):
            append(number: UInt32(4))
            append(number: number)
        case .float(let number):
            append(number: UInt32(6))
            append(number: number.bitPattern)
        case .bool(let bool):
            append(number: UInt32(7))
            append(bool ? 1 : 0)
        case .string(let text):
            append(number: UInt32(8))
            append(string: text)
        case .strings(let texts): append(array: texts, ofType: 8) { $0.append(string: $1) }
        case .integers(let numbers): append(array: numbers, ofType: 5) { $0.append(number: $1) }
        case .floats(let numbers): append(array: numbers, ofType: 6) { $0.append(number: $1.bitPattern) }
        case .bools(let bools): append(array: bools, ofType: 7) { $0.append($1 ? 1 : 0) }
        }
    }

    private mutating func append<Element>(
        array: [Element], ofType type: UInt32, _ append: (inout Data, Element) -> Void
    ) {
        self.append(number: UInt32(9))
        self.append(number: type)
        self.append(number: UInt64(array.count))
        for element in array { append(&self, element) }
    }
}
