import Foundation
import RetortCore

/// A GGUF file, read back by the format's description (ggml's `docs/gguf.md`).
struct GGUFFile {
    struct Tensor: Equatable {
        /// Outermost first.
        let shape: [Int]
        /// ggml's number of the storage.
        let storage: UInt32
        let offset: Int
    }

    let keys: [String: JSONValue]
    let tensors: [String: Tensor]
    private let data: Data

    init(_ file: URL) throws {
        data = try Data(contentsOf: file)
        var reader = Reader(data: data)
        guard reader.take(4) == Data("GGUF".utf8), reader.number(UInt32.self) == 3 else {
            throw CocoaError(.fileReadCorruptFile)
        }
        let (tensorCount, keyCount) = (reader.number(UInt64.self), reader.number(UInt64.self))
        var keys: [String: JSONValue] = [:]
        for _ in 0..<keyCount {
            let key = reader.string()
            keys[key] = reader.value(ofType: reader.number(UInt32.self))
        }
        let table = (0..<tensorCount).map { _ in
            let name = reader.string()
            let shape = (0..<reader.number(UInt32.self)).map { _ in Int(reader.number(UInt64.self)) }
            return (name, Array(shape.reversed()), reader.number(UInt32.self), Int(reader.number(UInt64.self)))
        }
        let start = (reader.position + 31) / 32 * 32
        self.keys = keys
        tensors = Dictionary(
            uniqueKeysWithValues: table.map { ($0.0, Tensor(shape: $0.1, storage: $0.2, offset: start + $0.3)) })
    }

    /// The numbers of a tensor that is stored in float32.
    func floats(_ name: String) -> [Float]? {
        guard let tensor = tensors[name], tensor.storage == 0 else { return nil }
        var reader = Reader(data: data)
        reader.position = tensor.offset
        return (0..<tensor.shape.reduce(1, *)).map { _ in Float(bitPattern: reader.number(UInt32.self)) }
    }

    private struct Reader {
        let data: Data
        var position = 0

        mutating func take(_ count: Int) -> Data {
            defer { position += count }
            return data[position..<position + count]
        }

        mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) -> Number {
            take(MemoryLayout<Number>.size).reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
        }

        mutating func string() -> String { String(decoding: take(Int(number(UInt64.self))), as: UTF8.self) }

        mutating func value(ofType type: UInt32) -> JSONValue {
            switch type {
            case 4: return .integer(Int(number(UInt32.self)))
            case 5: return .integer(Int(Int32(bitPattern: number(UInt32.self))))
            case 6: return .number(Double(Float(bitPattern: number(UInt32.self))))
            case 7: return .bool(number(UInt8.self) == 1)
            case 8: return .string(string())
            case 9:
                let element = number(UInt32.self)
                return .array((0..<number(UInt64.self)).map { _ in value(ofType: element) })
            default: return .null
            }
        }
    }
}

extension JSONValue {
    /// A number that is no integer.
    var number: Double? { if case .number(let value) = self { value } else { nil } }
}
