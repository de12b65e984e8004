import Crypto
import Foundation
import RetortCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The vectors of texts, stored by the texts themselves: a text that was embedded once is never embedded again,
/// whatever changes around it, and work that was killed is resumed after its last batch.
///
/// The file has a head of 16 bytes (`RTVECS01`, the width as 4 bytes, 4 zero bytes) and records: the first 16 bytes
/// of the text's SHA-256 and the vector in float32, all little-endian. An incomplete record at the end comes from an
/// interrupted write, and is dropped.
final class VectorStore {
    /// Identifies a text.
    struct Key: Hashable {
        private let first, second: UInt64

        init(_ text: String) {
            let digest = SHA256.hash(data: Data(text.utf8))
            (first, second) = digest.withUnsafeBytes {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
        }

        fileprivate init(_ bytes: UnsafeRawPointer) {
            first = bytes.loadUnaligned(as: UInt64.self)
            second = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        }

        fileprivate var bytes: Data {
            withUnsafeBytes(of: first) { Data($0) } + withUnsafeBytes(of: second) { Data($0) }
        }
    }

    let width: Int
    private let file: URL
    private let handle: FileHandle
    private var records: [Key: Int] = [:]
    private var end: Int
    private static let head = 16
    private static let mark = Data("RTVECS01".utf8)
    private var recordSize: Int { 16 + 4 * width }

    private static func start(_ width: Int) -> Data {
        mark + withUnsafeBytes(of: UInt64(width).littleEndian) { Data($0) }
    }

    /// Opens or creates a store.
    /// - Throws: `RetrievalError` for a file that is not such a store.
    init(_ file: URL, width: Int) throws {
        (self.file, self.width) = (file, width)
        let start = Self.start(width)
        do {
            if !FileManager.default.fileExists(atPath: file.path) { try start.write(to: file) }
            handle = try FileHandle(forUpdating: file)
            guard flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw RetrievalError.busy(file: file.path)
            }
            guard try handle.read(upToCount: Self.head) == start else {
                throw RetrievalError.notAnIndex(file: file.path, reason: "it holds no vectors of the width \(width)")
            }
            end = Self.head
            try readKeys()
        } catch let error as RetrievalError {
            throw error
        } catch {
            throw RetrievalError.notWritten(file: file.path, reason: error.localizedDescription)
        }
    }

    private func readKeys() throws {
        let size = Int(try handle.seekToEnd())
        let data = try Data(contentsOf: file, options: .alwaysMapped)
        data.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            while end + recordSize <= min(size, bytes.count) {
                records[Key(base + end)] = end
                end += recordSize
            }
        }
        if end < size { try handle.truncate(atOffset: UInt64(end)) }
    }

    var count: Int { records.count }

    func holds(_ key: Key) -> Bool { records[key] != nil }

    /// Adds vectors, concatenated, and makes them durable.
    func add(_ keys: [Key], _ vectors: [Float]) throws {
        var data = Data(capacity: keys.count * recordSize)
        for (row, key) in keys.enumerated() {
            data += key.bytes
            vectors[row * width..<(row + 1) * width].withUnsafeBytes { data.append(contentsOf: $0) }
        }
        do {
            try handle.seek(toOffset: UInt64(end))
            try handle.write(contentsOf: data)
            try handle.synchronize()
        } catch {
            throw RetrievalError.notWritten(file: file.path, reason: error.localizedDescription)
        }
        for key in keys {
            records[key] = end
            end += recordSize
        }
    }

    /// The vectors of texts as concatenated bytes. All texts must be in the store. Adjacent records are read
    /// together.
    func vectors(_ keys: [Key]) throws -> Data {
        let places = try keys.map { key in
            guard let place = records[key] else {
                throw RetrievalError.notAnIndex(file: file.path, reason: "it lacks a vector")
            }
            return place
        }
        var data = Data(capacity: keys.count * 4 * width)
        var start = 0
        while start < places.count {
            var end = start + 1
            while end < places.count, end - start < Self.recordsAtOnce, places[end] == places[end - 1] + recordSize {
                end += 1
            }
            try handle.seek(toOffset: UInt64(places[start]))
            let size = (end - start) * recordSize
            guard let block = try handle.read(upToCount: size), block.count == size else {
                throw RetrievalError.notAnIndex(file: file.path, reason: "it is cut short")
            }
            for record in 0..<end - start {
                let first = block.startIndex + record * recordSize + 16
                data += block[first..<first + 4 * width]
            }
            start = end
        }
        return data
    }

    private static let recordsAtOnce = 4096

    /// Drops the vectors that no text needs any more, once they are more than half.
    func compact(keeping used: Set<Key>) throws {
        let kept = records.filter { used.contains($0.key) }.sorted { $0.value < $1.value }
        guard kept.count * 2 < records.count else { return }
        try AtomicFile.write(to: file) { target in
            try target.write(contentsOf: Self.start(width))
            for (_, place) in kept {
                try handle.seek(toOffset: UInt64(place))
                if let record = try handle.read(upToCount: recordSize) { try target.write(contentsOf: record) }
            }
        }
    }
}
