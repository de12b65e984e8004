import CFaiss
import Foundation
import RetortCore

/// The layout of vectors for searching, chosen by their number and the available memory.
public enum VectorForm: Sendable, Hashable, Codable {
    /// The plain vectors; every one is compared.
    case flat
    /// A graph over the vectors (HNSW, arXiv 1603.09320).
    case graph
    /// Lists of neighbouring vectors, each compressed to a few bytes (product quantisation, Jégou et al., PAMI 2011).
    case lists(count: Int)

    /// Up to this number of vectors, an exact search takes no longer than generating one token with a model.
    static let mostFlat = 200_000
    private static let neighbours = 32

    /// - Parameter memory: how much memory may be used, in bytes.
    public static func fitting(count: Int, width: Int, memory: Int, hasFaiss: Bool) -> VectorForm {
        if count <= mostFlat || !hasFaiss { return .flat }
        // FAISS links each vector to twice as many neighbours in the lowest layer.
        if count * (4 * width + 4 * 2 * neighbours + 16) <= memory { return .graph }
        return .lists(count: lists(count))
    }

    /// The number of lists: four times the square root of the count, rounded to a power of two.
    static func lists(_ count: Int) -> Int { 1 << Int(log2(4 * Double(max(1, count)).squareRoot()).rounded()) }

    /// FAISS's factory string; nil for a form that needs none.
    func description(width: Int) -> String? {
        switch self {
        case .flat: return nil
        case .graph: return "HNSW\(Self.neighbours)"
        case .lists(let count):
            // Bytes per vector: an eighth of its elements, if the width can be divided so.
            let bytes = [8, 4, 2, 1].first { width.isMultiple(of: $0) }.map { width / $0 } ?? width
            return "IVF\(count),PQ\(bytes)"
        }
    }

    /// Writes an index of vectors that arrive in parts.
    /// - Parameters:
    ///   - vectors: returns the vectors of a range of places, as bytes.
    ///   - progress: called with the number of vectors in the index.
    package func write(
        count: Int, width: Int, to file: URL, vectors: (Range<Int>) throws -> Data, progress: (Int) -> Void
    ) throws {
        let step = max(1, (16 << 20) / (4 * width))
        let parts = stride(from: 0, to: count, by: step).map { $0..<min($0 + step, count) }
        guard let description = description(width: width) else {
            return try AtomicFile.write(to: file) { handle in
                try handle.write(contentsOf: FlatVectors.head(count: count, width: width))
                for part in parts {
                    try Task.checkCancellation()
                    try handle.write(contentsOf: vectors(part))
                    progress(part.upperBound)
                }
            }
        }
        guard let index = cf_make(description, Int64(width)) else { throw Self.failure(file) }
        defer { cf_free(index) }
        if case .lists(let lists) = self { try train(index, lists, count, width, file, vectors) }
        for part in parts {
            try Task.checkCancellation()
            let data = try vectors(part)
            guard Self.with(data, { cf_add(index, Int64(part.count), $0) }) == 0 else { throw Self.failure(file) }
            progress(part.upperBound)
        }
        let temporary = file.deletingLastPathComponent().appendingPathComponent(".\(file.lastPathComponent).part")
        defer { try? FileManager.default.removeItem(at: temporary) }
        guard cf_write(index, temporary.path) == 0, rename(temporary.path, file.path) == 0 else {
            throw Self.failure(file)
        }
    }

    /// Trains the lists on vectors from all parts, 64 for each list.
    private func train(
        _ index: OpaquePointer, _ lists: Int, _ count: Int, _ width: Int, _ file: URL,
        _ vectors: (Range<Int>) throws -> Data
    ) throws {
        let wanted = min(count, max(64 * lists, 10_000))
        var sample = Data(capacity: wanted * 4 * width)
        // Runs of neighbours can be read together; the runs are far apart, so that they cover all kinds.
        let run = min(wanted, 16)
        let runs = (wanted + run - 1) / run
        for number in 0..<runs {
            try Task.checkCancellation()
            let start = min(number * count / runs, count - run)
            sample += try vectors(start..<start + min(run, wanted - number * run))
        }
        guard Self.with(sample, { cf_train(index, Int64(wanted), $0) }) == 0 else { throw Self.failure(file) }
    }

    private static func with(_ data: Data, _ body: (UnsafePointer<Float>) -> Int32) -> Int32 {
        data.withUnsafeBytes { bytes in
            bytes.bindMemory(to: Float.self).baseAddress.map(body) ?? 1
        }
    }

    private static func failure(_ file: URL) -> RetrievalError {
        .notWritten(file: file.path, reason: "FAISS: \(String(cString: cf_error()))")
    }
}
