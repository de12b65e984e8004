import Foundation
import RetortCore
import RetortTensor

/// A file of named tensors in the safetensors format: an 8-byte little-endian header length, a JSON header with each
/// tensor's dtype, shape and byte range, then the data. The file is mapped into memory instead of being read.
package struct SafetensorsFile: Sendable {
    /// A tensor's place in the file.
    package struct Entry: Sendable, Hashable {
        /// The element type.
        package let dtype: DType
        /// The extents, outermost first.
        package let shape: [Int]
        let range: Range<Int>
    }

    /// The file's path, for messages.
    package let path: String
    /// The tensors by name.
    package let entries: [String: Entry]
    /// Free-form text of the header.
    package let metadata: [String: String]
    private let data: Data

    /// The largest header accepted, as in the reference implementation.
    private static let headerLimit = 100_000_000

    /// Opens a file and checks that every tensor lies inside it and has as many bytes as its shape needs.
    package init(_ url: URL) throws {
        path = url.path
        guard let data = try? Data(contentsOf: url, options: .alwaysMapped) else {
            throw CheckpointError.missing(file: url.path)
        }
        guard data.count >= 8 else {
            throw CheckpointError.truncated(file: url.path, "it has \(data.count) bytes and no header")
        }
        guard !data.starts(with: "version https://git-lfs".utf8) else {
            throw CheckpointError.malformed(
                file: url.path, "it is Git LFS's pointer to the weights, which 'git lfs pull' fetches")
        }
        let length = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= Self.headerLimit else {
            throw CheckpointError.malformed(file: url.path, "its header claims \(length) bytes")
        }
        let start = 8 + Int(length)
        guard data.count >= start else {
            throw CheckpointError.truncated(file: url.path, "its header of \(length) bytes is not complete")
        }
        let header: [String: JSONValue]
        do {
            guard let object = try ExactJSON.value(of: data[8..<start]).object else {
                throw CheckpointError.malformed(file: url.path, "its header is no JSON object")
            }
            header = object
        } catch let error as ExactJSONError {
            throw CheckpointError.malformed(file: url.path, "its header is not JSON: \(error)")
        }
        var entries: [String: Entry] = [:]
        for (name, value) in header where name != "__metadata__" {
            entries[name] = try Self.entry(name, value, bodyStart: start, fileSize: data.count, path: url.path)
        }
        try Self.checkOverlap(entries, path: url.path)
        self.entries = entries
        metadata = header["__metadata__"]?.object?.compactMapValues(\.string) ?? [:]
        self.data = data
    }

    private static func entry(
        _ name: String, _ value: JSONValue, bodyStart: Int, fileSize: Int, path: String
    ) throws -> Entry {
        guard let code = value["dtype"]?.string, let shape = value["shape"]?.array?.integers,
            let offsets = value["data_offsets"]?.array?.integers, offsets.count == 2,
            offsets[0] >= 0, offsets[1] >= offsets[0], shape.allSatisfy({ $0 >= 0 })
        else { throw CheckpointError.malformed(file: path, "the header entry of '\(name)' is not complete") }
        guard let dtype = dtypes[code] else {
            throw CheckpointError.quantised(file: path, kind: "'\(name)' is \(code)")
        }
        var expected = dtype.bytes
        for extent in shape {
            let (product, overflow) = expected.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw CheckpointError.malformed(file: path, "the shape of '\(name)' is impossible") }
            expected = product
        }
        guard offsets[1] - offsets[0] == expected else {
            throw CheckpointError.malformed(
                file: path, "'\(name)' has \(offsets[1] - offsets[0]) bytes, but its shape \(shape) takes \(expected)")
        }
        guard offsets[1] <= fileSize - bodyStart else {
            throw CheckpointError.truncated(file: path, "the tensor '\(name)' ends beyond the file")
        }
        return Entry(dtype: dtype, shape: shape, range: bodyStart + offsets[0]..<bodyStart + offsets[1])
    }

    private static func checkOverlap(_ entries: [String: Entry], path: String) throws {
        let ordered = entries.sorted { $0.value.range.lowerBound < $1.value.range.lowerBound }
        for (first, second) in zip(ordered, ordered.dropFirst())
        where first.value.range.upperBound > second.value.range.lowerBound {
            throw CheckpointError.malformed(file: path, "'\(first.key)' and '\(second.key)' overlap")
        }
    }

    /// Reads one tensor, in its stored dtype.
    package func tensor(_ name: String) throws -> Tensor {
        guard let entry = entries[name] else { throw CheckpointError.noTensor(file: path, name: name) }
        return try Tensor(bytes: data[entry.range], shape: entry.shape, dtype: entry.dtype)
    }

    static let dtypes: [String: DType] = [
        "F64": .float64, "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I64": .int64, "I32": .int32,
        "U8": .uint8, "BOOL": .bool,
    ]

    /// Writes tensors in the given order. The file appears complete or not at all.
    package static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to url: URL
    ) throws {
        let places = tensors.map { Place(name: $0.name, shape: $0.tensor.shape, dtype: $0.tensor.dtype) }
        try write(places, metadata: metadata, to: url) { append in
            for (_, tensor) in tensors { try append(tensor.bytes()) }
        }
    }

    /// What a file is to hold, before the data is there.
    package struct Place: Sendable, Hashable {
        let name: String
        let shape: [Int]
        let dtype: DType

        /// A tensor of this name, shape and element type.
        package init(name: String, shape: [Int], dtype: DType) {
            (self.name, self.shape, self.dtype) = (name, shape, dtype)
        }
    }

    /// Writes tensors whose data comes piece by piece. The file appears complete or not at all.
    /// - Parameters:
    ///   - places: the tensors, in the order of their data.
    ///   - body: appends the data of all of them, one behind the other, in pieces of any length.
    /// - Throws: what `body` throws; `CheckpointError.truncated` when it appended less or more than the tensors take.
    package static func write(
        _ places: [Place], metadata: [String: String] = [:], to url: URL,
        _ body: (_ append: (Data) throws -> Void) throws -> Void
    ) throws {
        var header: [String: JSONValue] = ["__metadata__": .object(metadata.mapValues(JSONValue.string))]
        var offset = 0
        for place in places {
            let size = place.shape.reduce(place.dtype.bytes, *)
            let code = dtypes.first { $0.value == place.dtype }?.key ?? "F32"
            header[place.name] = [
                "dtype": .string(code), "shape": .array(place.shape.map(JSONValue.integer)),
                "data_offsets": [.integer(offset), .integer(offset + size)],
            ]
            offset += size
        }
        var text = try JSONCoding.encoder.encode(header)
        // Tensors begin at a multiple of eight bytes.
        text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - text.count % 8) % 8))
        try AtomicFile.write(to: url) { handle in
            try handle.write(contentsOf: withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) })
            try handle.write(contentsOf: text)
            var written = 0
            try body { data in
                written += data.count
                try handle.write(contentsOf: data)
            }
            guard written == offset else {
                throw CheckpointError.truncated(
                    file: url.path, "\(written) bytes were written of tensors that take \(offset)")
            }
        }
    }
}

extension [JSONValue] {
    /// All elements, if all are integers; otherwise nil.
    fileprivate var integers: [Int]? {
        let values = compactMap { if case .integer(let value) = $0 { value } else { nil } }
        return values.count == count ? values : nil
    }
}
