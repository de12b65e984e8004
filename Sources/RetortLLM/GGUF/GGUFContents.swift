import Foundation
import RetortTensor

/// The contents of a GGUF file (ggml's `docs/gguf.md`, versions 2 and 3): typed metadata, a table of tensors, and
/// their data. The file is mapped into memory instead of being read, and everything in it is checked before use.
struct GGUFContents: Sendable {
    /// A tensor's place in the file.
    struct Entry: Sendable {
        let storage: GGUFStorage
        /// The extents, outermost first.
        let shape: [Int]
        let range: Range<Int>

        var count: Int { shape.reduce(1, *) }
    }

    let url: URL
    let values: [String: GGUFValue]
    let tensors: [String: Entry]
    /// The byte at which each key is, for messages.
    private let places: [String: Int]
    private let data: Data

    /// The first bytes of a GGUF file.
    private static let magic = Array("GGUF".utf8)

    var path: String { url.path }

    /// Opens a file and checks that every value and tensor lies inside it, and that no tensors overlap.
    /// - Throws: `CheckpointError` that names the file, the key or tensor, and the byte.
    init(_ url: URL) throws {
        guard let data = try? Data(contentsOf: url, options: .alwaysMapped) else {
            throw CheckpointError.missing(file: url.path)
        }
        self.url = url
        self.data = data
        (values, places, tensors) = try data.withUnsafeBytes { bytes in
            var cursor = GGUFCursor(bytes: bytes, path: url.path)
            let (tensorCount, keyCount) = try Self.head(&cursor)
            let (values, places) = try Self.metadata(&cursor, keyCount)
            let table = try Self.table(&cursor, tensorCount)
            let alignment = try Self.alignment(values, path: url.path)
            let start = (cursor.position + alignment - 1) / alignment * alignment
            return (values, places, try Self.entries(table, start: start, alignment, size: bytes.count, path: url.path))
        }
    }

    /// Whether a file begins as GGUF files do.
    static func isOne(_ url: URL) -> Bool {
        guard let handle = try? FileHandle(forReadingFrom: url) else { return false }
        defer { try? handle.close() }
        return (try? handle.read(upToCount: 4)).map { Array($0) == magic } ?? false
    }

    // MARK: The head

    private static func head(_ cursor: inout GGUFCursor) throws -> (tensors: Int, keys: Int) {
        guard cursor.rest >= 4, cursor.bytes.prefix(4).elementsEqual(magic) else {
            throw CheckpointError.malformed(
                file: cursor.path, "it does not begin with 'GGUF', so it is no file in this format")
        }
        cursor.position = 4
        let version = try cursor.number(UInt32.self, "the version")
        guard version & 0xFFFF != 0 else {
            throw CheckpointError.unsupported(file: cursor.path, "a big-endian GGUF file")
        }
        guard version == 2 || version == 3 else {
            throw CheckpointError.unsupported(
                file: cursor.path, "version \(version) of GGUF, of which 2 and 3 are read,")
        }
        // A tensor's entry has at least a name, its extents, its type and its offset.
        let tensors = try cursor.count(of: 8 + 4 + 8 + 4 + 8, "the number of tensors")
        return (tensors, try cursor.count(of: 8 + 4 + 1, "the number of keys"))
    }

    private static func metadata(
        _ cursor: inout GGUFCursor, _ count: Int
    ) throws -> (values: [String: GGUFValue], places: [String: Int]) {
        var values: [String: GGUFValue] = [:]
        var places: [String: Int] = [:]
        for _ in 0..<count {
            let place = cursor.position
            let key = try cursor.name("a key")
            let value = try cursor.value(cursor.kind("'\(key)'"), "'\(key)'")
            guard values.updateValue(value, forKey: key) == nil else {
                throw CheckpointError.malformed(
                    file: cursor.path, "it has the key '\(key)' twice, again at byte \(place)")
            }
            places[key] = place
        }
        return (values, places)
    }

    // MARK: Tensors

    private struct Row {
        let name: String
        let storage: GGUFStorage
        let shape: [Int]
        let offset: Int
        let size: Int
    }

    private static func table(_ cursor: inout GGUFCursor, _ count: Int) throws -> [Row] {
        var names: Set<String> = []
        return try (0..<count).map { _ in
            let place = cursor.position
            let row = try row(&cursor)
            guard names.insert(row.name).inserted else {
                throw CheckpointError.malformed(
                    file: cursor.path, "it has the tensor '\(row.name)' twice, again at byte \(place)")
            }
            return row
        }
    }

    private static func row(_ cursor: inout GGUFCursor) throws -> Row {
        let place = cursor.position
        let name = try cursor.name("a tensor's name")
        func malformed(_ what: String) -> CheckpointError {
            .malformed(file: cursor.path, "the tensor '\(name)' at byte \(place) \(what)")
        }
        let rank = try cursor.number(UInt32.self, "'\(name)'")
        guard (1...4).contains(rank) else { throw malformed("has \(rank) extents") }
        var shape: [Int] = []
        var elements = 1
        for _ in 0..<rank {
            let extent = try cursor.number(UInt64.self, "'\(name)'")
            let product = elements.multipliedReportingOverflow(by: Int(clamping: extent))
            // No element takes fewer than two bits.
            guard extent > 0, !product.overflow, product.partialValue / 4 <= cursor.bytes.count else {
                throw malformed("has the extent \(extent), which the file cannot hold")
            }
            elements = product.partialValue
            shape.insert(Int(extent), at: 0)
        }
        let number = try cursor.number(UInt32.self, "'\(name)'")
        guard let storage = GGUFStorage(rawValue: number) else {
            let known = GGUFStorage.allCases.map(\.name).joined(separator: ", ")
            throw CheckpointError.unsupported(
                file: cursor.path,
                "the tensor '\(name)', which is \(GGUFStorage.name(of: number)) (known are \(known)),")
        }
        guard let inner = shape.last, inner.isMultiple(of: storage.block.numbers) else {
            throw malformed("has rows of \(shape.last ?? 0), which are no whole blocks of \(storage.block.numbers)")
        }
        let offset = try cursor.number(UInt64.self, "'\(name)'")
        guard offset <= UInt64(cursor.bytes.count) else {
            throw CheckpointError.truncated(
                file: cursor.path, "the tensor '\(name)' begins at \(offset), beyond the file's end")
        }
        return Row(name: name, storage: storage, shape: shape, offset: Int(offset), size: storage.size(of: elements))
    }

    private static func alignment(_ values: [String: GGUFValue], path: String) throws -> Int {
        guard let value = values["general.alignment"] else { return 32 }
        guard let alignment = value.integer, (8...1 << 20).contains(alignment), alignment.nonzeroBitCount == 1 else {
            throw CheckpointError.malformed(
                file: path, "its 'general.alignment' is \(value.text), and no power of two from 8 on")
        }
        return alignment
    }

    private static func entries(
        _ table: [Row], start: Int, _ alignment: Int, size: Int, path: String
    ) throws -> [String: Entry] {
        var entries: [String: Entry] = [:]
        var last: Row?
        for row in table.sorted(by: { ($0.offset, $0.size) < ($1.offset, $1.size) }) {
            guard row.offset.isMultiple(of: alignment) else {
                throw CheckpointError.malformed(
                    file: path, "'\(row.name)' begins at \(row.offset), which is no multiple of \(alignment)")
            }
            if let last, last.offset + last.size > row.offset {
                throw CheckpointError.malformed(
                    file: path, "'\(last.name)' and '\(row.name)' overlap at byte \(start + row.offset)")
            }
            guard start + row.offset + row.size <= size else {
                throw CheckpointError.truncated(
                    file: path, "the tensor '\(row.name)' ends at byte \(start + row.offset + row.size) of \(size)")
            }
            let first = start + row.offset
            entries[row.name] = Entry(storage: row.storage, shape: row.shape, range: first..<first + row.size)
            last = row
        }
        return entries
    }

    /// Reads one tensor: in its own element type, or in float32 if it is stored in blocks.
    func tensor(_ name: String) throws -> Tensor {
        guard let entry = tensors[name] else { throw CheckpointError.noTensor(file: path, name: name) }
        let whole: DType? =
            switch entry.storage {
            case .float32: .float32
            case .float16: .float16
            case .bfloat16: .bfloat16
            default: nil
            }
        if let whole { return try Tensor(bytes: data[entry.range], shape: entry.shape, dtype: whole) }
        let numbers = data.withUnsafeBytes { bytes in
            GGUFBlocks.floats(UnsafeRawBufferPointer(rebasing: bytes[entry.range]), entry.storage)
        }
        return try Tensor(numbers, shape: entry.shape)
    }

    // MARK: Lists

    /// The place of a key, in words.
    func place(_ key: String) -> String { places[key].map { " (at byte \($0))" } ?? "" }

    func malformed(_ key: String, _ what: String) -> CheckpointError {
        .malformed(file: path, "'\(key)'\(place(key)) \(what)")
    }

    /// A list of texts as bytes; nil when there is no such key.
    func strings(_ key: String) throws -> [[UInt8]]? {
        guard let value = values[key] else { return nil }
        guard case .array(let array) = value, array.kind == .string else {
            throw malformed(key, "is no list of texts")
        }
        return try data.withUnsafeBytes { bytes in
            var cursor = GGUFCursor(bytes: bytes, path: path, position: array.range.lowerBound)
            return try (0..<array.count).map { _ in Array(try cursor.string("'\(key)'")) }
        }
    }

    /// A list of numbers, or of booleans as 0 and 1; nil when there is no such key.
    func numbers(_ key: String) throws -> [Double]? {
        guard let value = values[key] else { return nil }
        guard case .array(let array) = value, array.kind != .string, array.kind != .array else {
            throw malformed(key, "is no list of numbers")
        }
        return try data.withUnsafeBytes { bytes in
            var cursor = GGUFCursor(bytes: bytes, path: path, position: array.range.lowerBound)
            return try (0..<array.count).map { _ in
                switch try cursor.value(array.kind, "'\(key)'") {
                case .bool(let flag): flag ? 1 : 0
                case let value: value.number ?? 0
                }
            }
        }
    }
}
