import CFaiss
import Foundation

/// Vectors of one width, searched by inner product: exactly, in a file of FAISS's `IndexFlatIP`, or with an
/// approximate index of FAISS (HNSW, IVF with product quantisation). The files are FAISS's own, so Python's `faiss`
/// can read and write them.
///
/// Files are memory-mapped instead of read where the form allows it. Any number of tasks may search at once.
public final class VectorIndex: @unchecked Sendable {
    // Not changed once opened; FAISS's searches change nothing either.
    private enum Form {
        case flat(Data, start: Int)
        case faiss(OpaquePointer)
    }

    private let form: Form
    /// The number of vectors, and their width.
    public let count, width: Int

    /// Why FAISS is not available; nil when it is. Exact search does not need it.
    public static var faissRefusal: String? {
        let text = String(cString: cf_refusal())
        return text.isEmpty ? nil : text
    }

    /// Opens a file.
    /// - Parameter effort: for approximate indexes, the number of candidates (HNSW's `efSearch`) or lists (IVF's
    ///   `nprobe`) to look at; nil is 128 or 32. Exact search ignores it.
    /// - Throws: `RetrievalError`.
    public init(_ file: URL, effort: Int? = nil) throws {
        guard let data = try? Data(contentsOf: file, options: .alwaysMapped) else {
            throw RetrievalError.missing(file: file.path)
        }
        if let flat = try FlatVectors(data, path: file.path) {
            (form, count, width) = (.flat(data, start: flat.start), flat.count, flat.width)
            return
        }
        if let refusal = Self.faissRefusal { throw RetrievalError.noFaiss(file: file.path, reason: refusal) }
        guard let index = cf_open(file.path, true) else {
            throw RetrievalError.notAnIndex(file: file.path, reason: String(cString: cf_error()))
        }
        (form, count, width) = (.faiss(index), Int(cf_count(index)), Int(cf_width(index)))
        // Only the parameter that the index knows is accepted.
        _ = cf_set(index, "efSearch", Double(effort ?? 128))
        _ = cf_set(index, "nprobe", Double(effort ?? 32))
    }

    deinit { if case .faiss(let index) = form { cf_free(index) } }

    /// The places and inner products of the best vectors for each query, best first.
    /// - Parameter queries: the queries' vectors, concatenated.
    public func search(_ queries: [Float], limit: Int) throws -> [[(place: Int, score: Float)]] {
        guard width > 0, queries.count.isMultiple(of: width) else {
            throw RetrievalError.width(expected: width, found: queries.count)
        }
        let number = queries.count / width
        let limit = min(limit, count)
        guard number > 0, limit > 0 else { return Array(repeating: [], count: number) }
        switch form {
        case .flat(let data, let start):
            return exactly(data, start, queries, number, limit)
        case .faiss(let index):
            var places = [Int64](repeating: -1, count: number * limit)
            var scores = [Float](repeating: 0, count: number * limit)
            guard cf_search(index, Int64(number), queries, Int64(limit), &places, &scores) == 0 else {
                throw RetrievalError.search(String(cString: cf_error()))
            }
            return Self.lists(places, scores, number, limit)
        }
    }

    private static func lists(
        _ places: [Int64], _ scores: [Float], _ number: Int, _ limit: Int
    ) -> [[(place: Int, score: Float)]] {
        (0..<number).map { query in
            (query * limit..<(query + 1) * limit).compactMap { places[$0] < 0 ? nil : (Int(places[$0]), scores[$0]) }
        }
    }

    /// Below this number of elements a second thread does not pay off.
    private static let elementsForThreads = 1 << 20

    private func exactly(
        _ data: Data, _ start: Int, _ queries: [Float], _ number: Int, _ limit: Int
    ) -> [[(place: Int, score: Float)]] {
        let cores = ProcessInfo.processInfo.activeProcessorCount
        let parts = count * width < Self.elementsForThreads ? 1 : min(cores, count)
        let size = number * limit
        let places = UnsafeMutablePointer<Int64>.allocate(capacity: parts * size)
        let scores = UnsafeMutablePointer<Float>.allocate(capacity: parts * size)
        defer {
            places.deallocate()
            scores.deallocate()
        }
        data.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            // Each part writes to places of its own.
            nonisolated(unsafe) let (base_, places, scores) = (base + start, places, scores)
            DispatchQueue.concurrentPerform(iterations: parts) { part in
                cf_best(
                    base_, Int64(count * part / parts), Int64(count * (part + 1) / parts), Int64(width), queries,
                    Int64(number), Int64(limit), places + part * size, scores + part * size)
            }
        }
        return (0..<number).map { query in
            var found: [(place: Int, score: Float)] = []
            for part in 0..<parts {
                for place in 0..<limit where places[part * size + query * limit + place] >= 0 {
                    let index = part * size + query * limit + place
                    found.append((Int(places[index]), scores[index]))
                }
            }
            return Array(found.sorted { ($1.score, $0.place) < ($0.score, $1.place) }.prefix(limit))
        }
    }
}

/// A file of FAISS's `IndexFlatIP` (`faiss/impl/index_write.cpp`). Its head has `IxFI`, the width (4 bytes), the
/// number of vectors (8), two obsolete numbers (8 each), a byte for trained, the metric (4; 0 is the inner product)
/// and the number of elements (8); then follow the elements as float32.
struct FlatVectors {
    let count, width: Int
    let start = Self.headSize
    static let headSize = 45
    private static let mark = Data("IxFI".utf8)

    /// - Returns: nil for another kind of index.
    init?(_ data: Data, path: String) throws {
        guard data.prefix(4) == Self.mark else { return nil }
        guard data.count >= Self.headSize else {
            throw RetrievalError.notAnIndex(file: path, reason: "it is cut short")
        }
        let (width, count, elements) = data.withUnsafeBytes {
            (
                Int($0.loadUnaligned(fromByteOffset: 4, as: Int32.self)),
                $0.loadUnaligned(fromByteOffset: 8, as: Int64.self),
                $0.loadUnaligned(fromByteOffset: 37, as: UInt64.self)
            )
        }
        let (size, overflow) = Int(count).multipliedReportingOverflow(by: width)
        guard width > 0, count >= 0, !overflow, size <= data.count / 4, elements == UInt64(size),
            data.count - Self.headSize == 4 * size
        else {
            throw RetrievalError.notAnIndex(
                file: path, reason: "its size does not fit its head: \(count) vectors of the width \(width)")
        }
        (self.count, self.width) = (Int(count), width)
    }

    static func head(count: Int, width: Int) -> Data {
        var head = mark
        func add(_ value: some FixedWidthInteger) { head += withUnsafeBytes(of: value.littleEndian) { Data($0) } }
        add(Int32(width))
        add(Int64(count))
        add(Int64(1 << 20))
        add(Int64(1 << 20))
        add(UInt8(1))
        add(Int32(0))
        add(UInt64(count * width))
        return head
    }
}
