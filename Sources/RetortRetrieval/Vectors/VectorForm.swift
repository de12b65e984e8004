import CFaiss
import Foundation
import RetortCore

/// How vectors are laid out to be searched, by how many there are and how much memory there is.
public enum VectorForm: Sendable, Hashable, Codable {
    /// As they are: every one is looked at.
    case flat
    /// A graph over them (arXiv 1603.09320).
    case graph
    /// Lists of vectors near each other, each vector in few bytes (product quantisation, Jégou et al., PAMI 2011).
    case lists(count: Int)

    /// Up to so many vectors an exact search takes no longer than a model's token.
    static let mostFlat = 200_000
    private static let neighbours = 32

    /// - Parameter memory: what may be kept in memory, in bytes.
    public static func fitting(count: Int, width: Int, memory: Int, hasFaiss: Bool) -> VectorForm {
        if count <= mostFlat || !hasFaiss { return .flat }
        // FAISS links each vector to twice as many in the lowest layer.
        if count * (4 * width + 4 * 2 * neighbours + 16) <= memory { return .graph }
        return .lists(count: lists(count))
    }

    /// Four times the square root, as a power of two.
    static func lists(_ count: Int) -> Int { 1 << Int(log2(4 * Double(max(1, count)).squareRoot()).rounded()) }

    /// FAISS's own description; nil for what needs none.
    func description(width: Int) -> String? {
        switch self {
        case .flat: return nil
        case .graph: return "HNSW\(Self.neighbours)"
        case .lists(let count):
            // Bytes a vector: an eighth of its elements, as far as it can be cut so.
            let bytes = [8, 4, 2, 1].first { width.isMultiple(of: $0) }.map { width / $0 } ?? width
            return "IVF\(count),PQ\(bytes)"
        }
    }

    /// Writes an index of vectors that come in parts.
    /// - Parameters:
    ///   - vectors: those of a range of places, as bytes.
    ///   - progress: called with how many vectors are in.
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

    /// Lists are learned from vectors of all parts, 64 for each.
    private func train(
        _ index: OpaquePointer, _ lists: Int, _ count: Int, _ width: Int, _ file: URL,
        _ vectors: (Range<Int>) throws -> Data
    ) throws {
        let wanted = min(count, max(64 * lists, 10_000))
        var sample = Data(capacity: wanted * 4 * width)
        // Runs of neighbours, so that they are read together, far from each other, so that they are of all kinds.
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
